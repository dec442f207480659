import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** What 0.11 added: headers (KIP-82), transactions (KIP-98) and the admin client (KIP-117). */
final class Since011 extends Since010 {
    Since011() throws NoSuchMethodException {
    }

    @Override
    ProducerRecord<byte[], byte[]> record(String topic, int partition, Long timestamp, byte[] key, byte[] value, String headers) {
        List<Header> all = new ArrayList<>();
        for (String header : headers.equals("-") ? new String[0] : headers.split(",")) {
            int end = header.indexOf('=');
            all.add(new RecordHeader(header.substring(0, end), bytes(header.substring(end + 1))));
        }
        return new ProducerRecord<>(topic, partition, timestamp, key, value, all);
    }

    @Override
    String headers(ConsumerRecord<byte[], byte[]> record) {
        List<String> all = new ArrayList<>();
        for (Header header : record.headers()) {
            all.add(header.key() + "=" + field(header.value()));
        }
        return all.isEmpty() ? "-" : String.join(",", all);
    }

    @Override
    Map<String, String> committedOnly() {
        return Map.of("isolation.level", "read_committed");
    }

    @Override
    void transact(Properties properties, List<ProducerRecord<byte[], byte[]>> records, boolean commit) throws Exception {
        properties.put("transactional.id", "transactor of " + records.get(0).topic());
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            records.forEach(producer::send);
            producer.flush();
            if (commit) {
                producer.commitTransaction();
            } else {
                producer.abortTransaction();
            }
        }
    }

    @Override
    void create(Properties properties, String topic, int partitions) throws Exception {
        try (AdminClient admin = AdminClient.create(properties)) {
            admin.createTopics(Collections.singleton(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
    }

    @Override
    void delete(Properties properties, String topic) throws Exception {
        try (AdminClient admin = AdminClient.create(properties)) {
            admin.deleteTopics(Collections.singleton(topic)).all().get();
        }
    }
}
