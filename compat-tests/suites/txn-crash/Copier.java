import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of a group that copies each value into the partition of the sink with the same index, and commits its offsets
 * with the copies. A copy is VALUE<NAME:NUMBER, for no value is sent twice.
 */
final class Copier implements Clients.Role, ConsumerRebalanceListener {
    private static final String ISOLATION = "read_committed";
    private static final double ABORT = 0.15;
    private static final double LEAVE = 0.01;

    private final String name;
    private final String group;
    private final String protocol;
    private final String sink;
    private final Random chance;
    private KafkaConsumer<byte[], String> consumer;
    private TransactionalProducer producer;
    private History history;
    private long copies;
    private int lives;

    Copier(String name, String group, String protocol, String sink, Random chance) {
        this.name = name;
        this.group = group;
        this.protocol = protocol;
        this.sink = sink;
        this.chance = chance;
    }

    /** One member after another in the same place, with the same transactional id. */
    @Override
    public void run(Clients.Flag stopping) {
        Properties settings = new Properties();
        settings.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        settings.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, ISOLATION);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 50);
        if (protocol.equals("classic")) {
            settings.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 6_000);
            settings.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 500);
            settings.put(ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG, 15_000);
        } else {
            settings.put("group.protocol", protocol);
        }
        while (!stopping.isSet()) {
            String client = name + "." + lives++;
            try (History file = new History(client)) {
                history = file;
                consumer = Reader.consumer(settings);
                producer = null;
                live(stopping);
                close();
            }
        }
    }

    private void close() {
        try {
            consumer.close();
        } catch (KafkaException error) {
            // The broker was not there to take the member's leave: it is missed after a session.
        }
        if (producer != null) {
            producer.close();
        }
    }

    /** Copies until it is time to stop or the member leaves. */
    private void live(Clients.Flag stopping) {
        consumer.subscribe(List.of(Clients.SOURCE), this);
        while (!stopping.isSet() && chance.nextDouble() > LEAVE) {
            if (producer == null && !renew()) {
                continue;
            }
            ConsumerRecords<byte[], String> records;
            try {
                records = consumer.poll(Duration.ofMillis(200));
            } catch (KafkaException error) {
                // Such as a commit or a position that was not answered in time; the next poll tries again.
                continue;
            }
            history.poll(ISOLATION, records);
            if (!records.isEmpty() && !copied(records)) {
                goBack(stopping);
            }
        }
    }

    private boolean renew() {
        producer = new TransactionalProducer(name, history);
        try {
            producer.takeId();
            return true;
        } catch (KafkaException error) {
            drop();
            return false;
        }
    }

    private void drop() {
        producer.close();
        producer = null;
    }

    /** One transaction with the copies of these records; false if it did not surely happen. */
    private boolean copied(ConsumerRecords<byte[], String> records) {
        Map<TopicPartition, Long> offsets = new HashMap<>();
        try {
            producer.begin();
            for (ConsumerRecord<byte[], String> record : records) {
                producer.send(new TopicPartition(sink, record.partition()), record.value() + "<" + name + ":" + copies++);
                offsets.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
            }
            producer.sendOffsets(offsets, consumer.groupMetadata());
            if (chance.nextDouble() < ABORT) {
                producer.abort();
                return false;
            }
            producer.commit();
            return true;
        } catch (KafkaException | IllegalStateException error) {
            if (!producer.recover()) {
                drop();
            }
            return false;
        }
    }

    /** Goes on from what is committed. A new producer comes first: with it the outcome of an open transaction is decided. */
    private void goBack(Clients.Flag stopping) {
        while (!stopping.isSet()) {
            try {
                if (producer == null && !renew()) {
                    continue;
                }
                long since = History.now();
                Map<TopicPartition, OffsetAndMetadata> answer = consumer.committed(consumer.assignment());
                Map<TopicPartition, Long> committed = new HashMap<>();
                answer.forEach((partition, offset) -> committed.put(partition, offset == null ? -1 : offset.offset()));
                history.readOffsets(group, committed, since);
                committed.replaceAll((partition, offset) -> Math.max(offset, 0));
                committed.forEach(consumer::seek);
                history.assigned(committed);
                return;
            } catch (KafkaException error) {
                Clients.pause(50);
            }
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        Map<TopicPartition, Long> positions = new HashMap<>();
        consumer.assignment().forEach(partition -> positions.put(partition, null));
        history.assigned(positions);
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        // No transaction is open while the consumer polls.
    }
}
