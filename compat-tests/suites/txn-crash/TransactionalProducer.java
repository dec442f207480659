import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The client's producer with a transactional id, and what it does and is told in a history. */
final class TransactionalProducer implements AutoCloseable {
    private final KafkaProducer<byte[], String> client;
    private final String transactionalId;
    private final History history;

    TransactionalProducer(String transactionalId, History history) {
        this.transactionalId = transactionalId;
        this.history = history;
        Properties properties = Clients.base();
        properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, transactionalId);
        properties.put(ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, Clients.TRANSACTION_TIMEOUT_MS);
        properties.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, 10_000);
        properties.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 30_000);
        properties.put(ProducerConfig.LINGER_MS_CONFIG, 2);
        client = new KafkaProducer<>(properties, new ByteArraySerializer(), new StringSerializer());
    }

    /** Takes the id from whoever has it. */
    void takeId() {
        long since = History.now();
        client.initTransactions();
        history.ready(transactionalId, since);
    }

    void begin() {
        client.beginTransaction();
        history.begin();
    }

    void send(TopicPartition partition, String value) {
        history.send(partition, value);
        client.send(new ProducerRecord<>(partition.topic(), partition.partition(), null, value), (metadata, error) -> {
            if (error == null) {
                history.sent(value, metadata.offset());
            }
        });
    }

    void flush() {
        client.flush();
    }

    void sendOffsets(Map<TopicPartition, Long> offsets, ConsumerGroupMetadata group) {
        history.commitOffsets(group.groupId(), group.generationId(), offsets);
        Map<TopicPartition, OffsetAndMetadata> values = new HashMap<>();
        offsets.forEach((partition, offset) -> values.put(partition, new OffsetAndMetadata(offset)));
        client.sendOffsetsToTransaction(values, group);
    }

    /** Commits, and asks again while there is no answer; any other error leaves the outcome open. */
    void commit() {
        history.commit();
        while (true) {
            try {
                client.commitTransaction();
                history.committed();
                return;
            } catch (TimeoutException error) {
                Clients.giveUpIfLate(error);
            }
        }
    }

    void abort() {
        history.abort();
        abortAgain();
    }

    /** Ends a transaction that failed; false if only a new producer can go on. */
    boolean recover() {
        try {
            abortAgain();
            return true;
        } catch (KafkaException | IllegalStateException error) {
            return false;
        }
    }

    private void abortAgain() {
        while (true) {
            try {
                client.abortTransaction();
                return;
            } catch (TimeoutException error) {
                Clients.giveUpIfLate(error);
            }
        }
    }

    /** Ends the client, whatever it was at, as if its process had died. */
    @Override
    public void close() {
        client.close(Duration.ZERO);
    }
}
