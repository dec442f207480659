import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** What the client 0.9 can do, and what the later ones do differently: no timestamps, no headers, no transactions, no administration. */
class Release {
    private final Method poll;
    private final boolean takesDuration;
    private final Method committed;

    Release() throws NoSuchMethodException {
        // 2.0 brought poll(Duration), 4.0 took poll(long) away; likewise with committed() and 2.4.
        takesDuration = has("poll", Duration.class);
        poll = KafkaConsumer.class.getMethod("poll", takesDuration ? Duration.class : long.class);
        committed = has("committed", java.util.Set.class) ? KafkaConsumer.class.getMethod("committed", java.util.Set.class)
            : KafkaConsumer.class.getMethod("committed", TopicPartition.class);
    }

    private static boolean has(String method, Class<?> argument) {
        try {
            KafkaConsumer.class.getMethod(method, argument);
            return true;
        } catch (NoSuchMethodException absent) {
            return false;
        }
    }

    private static Object call(Method method, Object target, Object argument) {
        try {
            return method.invoke(target, argument);
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            if (thrown.getCause() instanceof RuntimeException) {
                throw (RuntimeException) thrown.getCause();
            }
            throw new IllegalStateException(thrown.getCause());
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
    }

    @SuppressWarnings("unchecked")
    final ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> consumer, long ms) {
        return (ConsumerRecords<byte[], byte[]>) call(poll, consumer, takesDuration ? (Object) Duration.ofMillis(ms) : (Object) ms);
    }

    final OffsetAndMetadata committed(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
        boolean takesSet = committed.getParameterTypes()[0] == java.util.Set.class;
        Object found = call(committed, consumer, takesSet ? (Object) java.util.Set.of(partition) : partition);
        return (OffsetAndMetadata) (takesSet ? ((Map<?, ?>) found).get(partition) : found);
    }

    static byte[] bytes(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field);
    }

    static String field(byte[] bytes) {
        return bytes == null ? "-" : Base64.getEncoder().encodeToString(bytes);
    }

    final String line(ConsumerRecord<byte[], byte[]> record) {
        return String.join("\t", "record", String.valueOf(record.partition()), String.valueOf(record.offset()), stamp(record), field(record.key()),
            field(record.value()), headers(record));
    }

    ProducerRecord<byte[], byte[]> record(String topic, int partition, Long timestamp, byte[] key, byte[] value, String headers) {
        return new ProducerRecord<>(topic, partition, key, value);
    }

    String stamp(ConsumerRecord<byte[], byte[]> record) {
        return "-";
    }

    String headers(ConsumerRecord<byte[], byte[]> record) {
        return "-";
    }

    Map<String, String> committedOnly() {
        return Map.of();
    }

    Long offsetForTime(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long timestamp) {
        throw new UnsupportedOperationException("offsets by time came with 0.10.1");
    }

    void transact(Properties properties, List<ProducerRecord<byte[], byte[]>> records, boolean commit) throws Exception {
        throw new UnsupportedOperationException("transactions came with 0.11");
    }

    void create(Properties properties, String topic, int partitions) throws Exception {
        throw new UnsupportedOperationException("the admin client came with 0.11");
    }

    void delete(Properties properties, String topic) throws Exception {
        throw new UnsupportedOperationException("the admin client came with 0.11");
    }
}
