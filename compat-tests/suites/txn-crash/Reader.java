import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads all that the producers write, without a group. */
final class Reader implements Clients.Role {
    private final String name;
    private final String isolation;

    Reader(String name, String isolation) {
        this.name = name;
        this.isolation = isolation;
    }

    static KafkaConsumer<byte[], String> consumer(Properties settings) {
        Properties properties = Clients.base();
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        properties.put(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 10_000);
        properties.put(ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 100);
        properties.putAll(settings);
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new StringDeserializer());
    }

    @Override
    public void run(Clients.Flag stopping) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, isolation);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
        List<TopicPartition> partitions = new ArrayList<>();
        Map<TopicPartition, Long> starts = new HashMap<>();
        for (int index = 0; index < Clients.PARTITIONS; index++) {
            partitions.add(new TopicPartition(Clients.SOURCE, index));
            starts.put(partitions.get(index), 0L);
        }
        try (History history = new History(name); KafkaConsumer<byte[], String> consumer = consumer(settings)) {
            consumer.assign(partitions);
            starts.forEach(consumer::seek);
            history.assigned(starts);
            while (!stopping.isSet()) {
                history.poll(isolation, consumer.poll(Duration.ofMillis(200)));
            }
        }
    }
}
