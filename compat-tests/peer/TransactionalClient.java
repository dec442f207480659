import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A transactional producer that stays while ToolRunner makes other calls, so that a tool sees its transaction open.
 *
 * Usage: TransactionalClient --bootstrap-server HOST:PORT open NAME TRANSACTIONAL_ID [KEY=VALUE...]
 *        TransactionalClient --bootstrap-server HOST:PORT begin|commit|abort|drop NAME
 *        TransactionalClient --bootstrap-server HOST:PORT send NAME TOPIC PARTITION COUNT
 *        TransactionalClient --bootstrap-server HOST:PORT offset NAME GROUP TOPIC PARTITION OFFSET
 *
 * `send` returns when the records are acknowledged, `drop` leaves an open transaction behind. What the producer is
 * refused is printed by the class of the error and ends the call as what was asked for does.
 */
public final class TransactionalClient {
    private static final Map<String, KafkaProducer<String, String>> PRODUCERS = new HashMap<>();

    private TransactionalClient() {
    }

    public static void main(String[] args) {
        String bootstrap = args[1];
        String action = args[2];
        String name = args[3];
        try {
            switch (action) {
                case "open" -> open(bootstrap, name, args);
                case "begin" -> PRODUCERS.get(name).beginTransaction();
                case "send" -> send(PRODUCERS.get(name), args);
                case "offset" -> offset(PRODUCERS.get(name), args);
                case "commit" -> PRODUCERS.get(name).commitTransaction();
                case "abort" -> PRODUCERS.get(name).abortTransaction();
                case "drop" -> PRODUCERS.remove(name).close(Duration.ZERO);
                default -> throw new IllegalArgumentException(action + " is no action of a transactional client");
            }
            System.out.println(action + " done");
        } catch (org.apache.kafka.common.KafkaException error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            System.out.println(action + " refused: " + cause.getClass().getSimpleName());
        }
    }

    private static void open(String bootstrap, String name, String[] args) {
        Properties properties = new Properties();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(ProducerConfig.CLIENT_ID_CONFIG, name);
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, args[4]);
        properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        for (int index = 5; index < args.length; index++) {
            String[] property = args[index].split("=", 2);
            properties.put(property[0], property[1]);
        }
        KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
        PRODUCERS.put(name, producer);
        producer.initTransactions();
    }

    private static void send(KafkaProducer<String, String> producer, String[] args) {
        int count = Integer.parseInt(args[6]);
        for (int index = 0; index < count; index++) {
            producer.send(new ProducerRecord<>(args[4], Integer.parseInt(args[5]), null, args[3] + "-" + index));
        }
        producer.flush();
    }

    private static void offset(KafkaProducer<String, String> producer, String[] args) {
        TopicPartition partition = new TopicPartition(args[5], Integer.parseInt(args[6]));
        OffsetAndMetadata offset = new OffsetAndMetadata(Long.parseLong(args[7]), "in a transaction");
        producer.sendOffsetsToTransaction(Map.of(partition, offset), new ConsumerGroupMetadata(args[4]));
    }
}
