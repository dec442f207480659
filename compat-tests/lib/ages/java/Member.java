import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of a group, polling on a thread of its own. It commits what it has seen when it is told to and when partitions
 * are taken from it.
 */
final class Member extends Thread implements ConsumerRebalanceListener {
    private final Release release;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final BlockingQueue<FutureTask<List<String>>> asked = new LinkedBlockingQueue<>();
    private final Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
    private final List<String> seen = new ArrayList<>();
    private boolean leaving;

    Member(Release release, KafkaConsumer<byte[], byte[]> consumer, String topic) {
        this.release = release;
        this.consumer = consumer;
        consumer.subscribe(Arrays.asList(topic), this);
        setDaemon(true);
    }

    @Override
    public void run() {
        while (!leaving) {
            try {
                for (ConsumerRecord<byte[], byte[]> record : release.poll(consumer, 50)) {
                    seen.add(release.line(record));
                    positions.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1, "a word about it"));
                }
            } catch (RuntimeException error) {
                seen.add("trouble\t" + error.toString().replaceAll("\\s+", " "));
            }
            for (FutureTask<List<String>> task = asked.poll(); task != null; task = asked.poll()) {
                task.run();
            }
        }
    }

    private List<String> ask(FutureTask<List<String>> task) throws Exception {
        asked.add(task);
        return task.get();
    }

    /** The partitions it has, and the records it has seen since the last look. */
    List<String> look() throws Exception {
        return ask(new FutureTask<>(() -> {
            List<Integer> partitions = new ArrayList<>();
            consumer.assignment().forEach(partition -> partitions.add(partition.partition()));
            Collections.sort(partitions);
            List<String> lines = new ArrayList<>();
            lines.add("assigned\t" + partitions.toString().replaceAll("[\\[\\] ]", ""));
            lines.addAll(seen);
            seen.clear();
            return lines;
        }));
    }

    void commit() throws Exception {
        ask(new FutureTask<>(() -> {
            consumer.commitSync(positions);
            return List.of();
        }));
    }

    void leave() throws Exception {
        ask(new FutureTask<>(() -> {
            leaving = true;
            consumer.close();
            return List.of();
        }));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        positions.keySet().retainAll(partitions);
        try {
            consumer.commitSync(positions);
        } catch (RuntimeException error) {
            // A member that was late is out of its generation: another one sees the records again.
            seen.add("trouble\t" + error.toString().replaceAll("\\s+", " "));
        }
        positions.clear();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    }
}
