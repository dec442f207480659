import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A consumer that stays in its group while ToolRunner makes other calls. It reads nothing of its own accord but polls,
 * and commits only when it is told to.
 *
 * Usage: GroupMember --bootstrap-server HOST:PORT join NAME GROUP TOPICS [KEY=VALUE...]
 *        GroupMember --bootstrap-server HOST:PORT assigned NAME
 *        GroupMember --bootstrap-server HOST:PORT commit NAME TOPIC PARTITION OFFSET [METADATA]
 *        GroupMember --bootstrap-server HOST:PORT leave NAME
 *
 * NAME is the client id, with which the broker begins the member id: assignors that sort by it give the same answer in
 * every run. `join` waits for the member's first assignment, `assigned` for the next that was not shown yet; both print
 * it.
 */
public final class GroupMember implements ConsumerRebalanceListener {
    private static final Map<String, GroupMember> MEMBERS = new HashMap<>();
    private static final Duration POLL = Duration.ofMillis(20);
    private static final long WAIT_SECONDS = 30;
    /** By its text, for releases before 3.7 have no name for it. */
    private static final String GROUP_PROTOCOL = "group.protocol";

    private final KafkaConsumer<String, String> consumer;
    private final BlockingQueue<String> assignments = new LinkedBlockingQueue<>();
    private final BlockingQueue<Runnable> orders = new LinkedBlockingQueue<>();
    private final boolean isConsumerProtocol;
    private boolean leaving = false;

    private GroupMember(Properties properties) {
        isConsumerProtocol = "consumer".equals(properties.get(GROUP_PROTOCOL));
        consumer = new KafkaConsumer<>(properties);
    }

    public static void main(String[] args) throws Exception {
        String bootstrap = args[1];
        String action = args[2];
        String name = args[3];
        switch (action) {
            case "join" -> join(bootstrap, name, args);
            case "assigned" -> MEMBERS.get(name).showAssignment();
            case "commit" -> MEMBERS.get(name).commit(args);
            case "leave" -> MEMBERS.remove(name).leave();
            default -> throw new IllegalArgumentException(action + " is not join, assigned, commit or leave");
        }
    }

    private static void join(String bootstrap, String name, String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(ConsumerConfig.CLIENT_ID_CONFIG, name);
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, args[4]);
        properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        properties.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        for (int index = 6; index < args.length; index++) {
            String[] property = args[index].split("=", 2);
            properties.put(property[0], property[1]);
        }
        if (!properties.containsKey(GROUP_PROTOCOL)) {
            // A member that joins or leaves is noticed by the next heartbeat of the others. The consumer protocol has
            // the broker name the interval.
            properties.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, "200");
        }
        GroupMember member = new GroupMember(properties);
        Thread thread = new Thread(() -> member.run(List.of(args[5].split(","))), name);
        thread.setDaemon(true);
        thread.start();
        MEMBERS.put(name, member);
        member.showAssignment();
    }

    private void run(Collection<String> topics) {
        try {
            consumer.subscribe(topics, this);
            while (!leaving) {
                consumer.poll(POLL);
                for (Runnable order = orders.poll(); order != null; order = orders.poll()) {
                    order.run();
                }
            }
        } catch (RuntimeException error) {
            assignments.add("none, for it failed: " + error);
        }
    }

    private void showAssignment() throws InterruptedException {
        System.out.println("assigned " + assignments.poll(WAIT_SECONDS, TimeUnit.SECONDS));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        List<String> names = new ArrayList<>();
        consumer.assignment().forEach(partition -> names.add(partition.toString()));
        names.sort(null);
        if (isConsumerProtocol && names.isEmpty()) {
            // What it is to get is still with others, or not decided yet.
            return;
        }
        assignments.add(String.join(" ", names));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        // What was consumed is committed only by order.
    }

    private void commit(String[] args) throws Exception {
        TopicPartition partition = new TopicPartition(args[4], Integer.parseInt(args[5]));
        OffsetAndMetadata offset = new OffsetAndMetadata(Long.parseLong(args[6]), args.length > 7 ? args[7] : "");
        order(() -> consumer.commitSync(Map.of(partition, offset)));
        System.out.println("committed");
    }

    private void leave() throws Exception {
        order(() -> {
            leaving = true;
            consumer.close();
        });
        System.out.println("left");
    }

    /** Has the member's own thread do something, for a consumer serves one thread, and waits for it. */
    private void order(Runnable action) throws Exception {
        CompletableFuture<Void> done = new CompletableFuture<>();
        orders.add(() -> {
            try {
                action.run();
                done.complete(null);
            } catch (RuntimeException error) {
                done.completeExceptionally(error);
            }
        });
        done.get(WAIT_SECONDS, TimeUnit.SECONDS);
    }
}
