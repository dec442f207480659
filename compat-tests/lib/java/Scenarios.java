import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The scenarios of every client, on the Java client. It uses only what every release since 2.8 has, so that one source
 * serves them all; its argument is the release, such as 4.4, and says which scenarios that has beside the common ones.
 */
public final class Scenarios {
    private static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    private static final String BROKER_HOME = System.getenv("BROKER_HOME");
    private static final Duration POLL = Duration.ofMillis(50);
    private static final long WAIT_MS = 30_000;

    private interface Check {
        void run() throws Exception;
    }

    /** A check that cannot run here throws this, with the reason. */
    private static final class Skip extends Exception {
        Skip(String reason) {
            super(reason);
        }
    }

    public static void main(String[] args) {
        Map<String, Check> checks = new LinkedHashMap<>();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            checks.put("codec." + codec, () -> codec(codec));
        }
        checks.put("headers.duplicate-keys", Scenarios::duplicateHeaders);
        checks.put("rebalance.member-joins-and-leaves", () -> joinsAndLeaves("shared", Map.of()));
        checks.put("rebalance.cooperative", () -> joinsAndLeaves("cooperating",
            Map.of("partition.assignment.strategy", CooperativeStickyAssignor.class.getName())));
        checks.put("rebalance.static-member-returns", Scenarios::staticMemberReturns);
        if (args[0].equals("4.4")) {
            checks.put("groups.consumer-protocol", Scenarios::consumerProtocol);
        }
        checks.put("commit.resume", Scenarios::commitAndResume);
        checks.put("seek.by-time", Scenarios::seekByTime);
        checks.put("admin.crud", Scenarios::adminCrud);
        checks.put("admin.groups", Scenarios::adminGroups);
        checks.put("large-message.round-trip", Scenarios::largeMessage);
        checks.put("compaction.keeps-the-last-of-a-key", Scenarios::compaction);
        checks.put("transactions.commit-and-abort", Scenarios::commitAndAbort);
        checks.put("reconnect.after-kill", Scenarios::reconnect);
        checks.forEach(Scenarios::run);
        System.exit(0);
    }

    private static void run(String name, Check check) {
        long started = System.nanoTime();
        try {
            check.run();
            System.out.println("PASS " + name);
        } catch (Skip skip) {
            System.out.println("SKIP " + name + ": " + skip.getMessage());
        } catch (Exception | AssertionError error) {
            System.out.println("FAIL " + name + ": " + String.valueOf(error).replaceAll("\\s+", " "));
            error.printStackTrace(System.out);
        }
        System.out.printf("    %s took %.1f s%n", name, (System.nanoTime() - started) / 1e9);
    }

    private static void equal(Object actual, Object expected, String what) {
        if (!actual.equals(expected)) {
            throw new AssertionError(what + " is " + actual + ", not " + expected);
        }
    }

    private static Properties properties(Map<String, String> settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", BOOTSTRAP);
        properties.putAll(settings);
        return properties;
    }

    private static Admin admin() {
        return Admin.create(properties(Map.of()));
    }

    private static void create(String topic, int partitions, Map<String, String> configs) throws Exception {
        try (Admin admin = admin()) {
            NewTopic created = new NewTopic(topic, partitions, (short) 1).configs(configs);
            admin.createTopics(List.of(created)).all().get(WAIT_MS, TimeUnit.MILLISECONDS);
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(Map<String, String> settings) {
        Map<String, String> all = new HashMap<>(settings);
        all.put("enable.idempotence", "true");
        all.put("acks", "all");
        return new KafkaProducer<>(properties(all), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, Long timestamp, String key, String value) {
        return new ProducerRecord<>(topic, 0, timestamp, key == null ? null : key.getBytes(), value.getBytes());
    }

    /** Sends the records and returns their offsets. */
    private static List<Long> produce(List<ProducerRecord<byte[], byte[]>> records, Map<String, String> settings) throws Exception {
        List<Long> offsets = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(settings)) {
            List<Future<RecordMetadata>> sent = records.stream().map(producer::send).collect(Collectors.toList());
            for (Future<RecordMetadata> future : sent) {
                offsets.add(future.get(WAIT_MS, TimeUnit.MILLISECONDS).offset());
            }
        }
        return offsets;
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Map<String, String> settings) {
        Map<String, String> all = new HashMap<>(Map.of("enable.auto.commit", "false", "auto.offset.reset", "earliest"));
        all.putAll(settings);
        return new KafkaConsumer<>(properties(all), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static KafkaConsumer<byte[], byte[]> member(String group, String topic, Map<String, String> settings) {
        Map<String, String> all = new HashMap<>(Map.of("group.id", group, "heartbeat.interval.ms", "200"));
        all.putAll(settings);
        KafkaConsumer<byte[], byte[]> consumer = consumer(all);
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    /** Reads on until `enough` of what was read; fails if that does not happen in time. */
    private static List<ConsumerRecord<byte[], byte[]>> readUntil(
        KafkaConsumer<byte[], byte[]> consumer, Predicate<List<ConsumerRecord<byte[], byte[]>>> enough
    ) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.currentTimeMillis() + WAIT_MS;
        while (!enough.test(records)) {
            if (System.currentTimeMillis() > deadline) {
                throw new AssertionError("only " + records.size() + " records could be read");
            }
            consumer.poll(POLL).forEach(records::add);
        }
        return records;
    }

    private static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer, int count) {
        return readUntil(consumer, records -> records.size() >= count);
    }

    private static List<String> values(Collection<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> new String(record.value())).collect(Collectors.toList());
    }

    private static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(String::valueOf).collect(Collectors.toList());
    }

    private static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, int count, Map<String, String> settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            return read(consumer, count);
        }
    }

    /** Polls the members until they have as many partitions as wanted. */
    private static void shares(List<KafkaConsumer<byte[], byte[]>> members, List<Integer> wanted, String what) {
        long deadline = System.currentTimeMillis() + WAIT_MS;
        List<Integer> shares = List.of();
        while (!shares.equals(wanted) && System.currentTimeMillis() < deadline) {
            members.forEach(member -> member.poll(POLL));
            shares = members.stream().map(member -> member.assignment().size()).collect(Collectors.toList());
        }
        equal(shares, wanted, what);
    }

    private static void codec(String codec) throws Exception {
        String topic = "codec-" + codec;
        create(topic, 1, Map.of());
        List<String> values = IntStream.range(0, 500).mapToObj(number -> "value " + number + " of " + codec).collect(Collectors.toList());
        List<ProducerRecord<byte[], byte[]>> records = values.stream().map(value -> record(topic, null, null, value)).collect(Collectors.toList());
        List<Long> offsets = produce(records, Map.of("compression.type", codec, "linger.ms", "20", "batch.size", "4000"));
        equal(offsets, IntStream.range(0, 500).mapToObj(Long::valueOf).collect(Collectors.toList()), "acknowledged offsets");
        equal(values(readAll(topic, 500, Map.of("check.crcs", "true"))), values, "values");
    }

    private static void duplicateHeaders() throws Exception {
        create("headers", 1, Map.of());
        ProducerRecord<byte[], byte[]> record = record("headers", null, "key", "value");
        for (String header : List.of("a=1", "b=2", "a=3")) {
            record.headers().add(new RecordHeader(header.substring(0, 1), header.substring(2).getBytes()));
        }
        produce(List.of(record), Map.of());
        List<String> headers = new ArrayList<>();
        for (Header header : readAll("headers", 1, Map.of()).get(0).headers()) {
            headers.add(header.key() + "=" + new String(header.value()));
        }
        equal(headers, List.of("a=1", "b=2", "a=3"), "headers");
    }

    private static void joinsAndLeaves(String topic, Map<String, String> settings) throws Exception {
        create(topic, 4, Map.of());
        KafkaConsumer<byte[], byte[]> first = member(topic + "-group", topic, settings);
        shares(List.of(first), List.of(4), "partitions of a lone member");
        KafkaConsumer<byte[], byte[]> second = member(topic + "-group", topic, settings);
        shares(List.of(first, second), List.of(2, 2), "partitions of two members");
        Set<TopicPartition> owned = new HashSet<>(first.assignment());
        owned.addAll(second.assignment());
        equal(owned.size(), 4, "partitions that have an owner");
        second.close();
        shares(List.of(first), List.of(4), "partitions after one has left");
        first.close();
    }

    /** In this protocol (KIP-848) the broker assigns, and says how often members send heartbeats. */
    private static void consumerProtocol() throws Exception {
        create("reconciled", 4, Map.of());
        Map<String, String> settings = Map.of("group.id", "reconcilers", "group.protocol", "consumer");
        KafkaConsumer<byte[], byte[]> first = consumer(settings);
        first.subscribe(List.of("reconciled"));
        shares(List.of(first), List.of(4), "partitions of a lone member");
        KafkaConsumer<byte[], byte[]> second = consumer(settings);
        second.subscribe(List.of("reconciled"));
        shares(List.of(first, second), List.of(2, 2), "partitions of two members");
        Set<TopicPartition> owned = new HashSet<>(first.assignment());
        owned.addAll(second.assignment());
        equal(owned.size(), 4, "partitions that have an owner");
        second.close();
        shares(List.of(first), List.of(4), "partitions after one has left");
        first.close();
    }

    private static void staticMemberReturns() throws Exception {
        create("static", 4, Map.of());
        KafkaConsumer<byte[], byte[]> first = member("statics", "static", Map.of("group.instance.id", "one"));
        shares(List.of(first), List.of(4), "partitions of a lone member");
        KafkaConsumer<byte[], byte[]> second = member("statics", "static", Map.of("group.instance.id", "two"));
        shares(List.of(first, second), List.of(2, 2), "partitions of two members");
        Set<TopicPartition> before = second.assignment();
        second.close();
        second = member("statics", "static", Map.of("group.instance.id", "two"));
        shares(List.of(second), List.of(2), "partitions of the member that came back");
        equal(second.assignment(), before, "partitions it has again");
        equal(first.assignment().size(), 2, "partitions of the member that stayed");
        first.close();
        second.close();
    }

    private static void produceNumbers(String topic, int count) throws Exception {
        create(topic, 1, Map.of());
        produce(numbers(0, count).stream().map(value -> record(topic, null, null, value)).collect(Collectors.toList()), Map.of());
    }

    private static void commitAndResume() throws Exception {
        produceNumbers("committed", 10);
        TopicPartition partition = new TopicPartition("committed", 0);
        KafkaConsumer<byte[], byte[]> first = member("committers", "committed", Map.of("max.poll.records", "4"));
        equal(values(read(first, 4)), numbers(0, 4), "values of the first member");
        first.commitSync(Map.of(partition, new OffsetAndMetadata(4, "a word about it")));
        first.close();
        KafkaConsumer<byte[], byte[]> second = member("committers", "committed", Map.of());
        equal(values(read(second, 6)), numbers(4, 10), "values of the second member");
        OffsetAndMetadata stored = second.committed(Set.of(partition)).get(partition);
        equal(stored.offset() + " " + stored.metadata(), "4 a word about it", "the committed offset");
        second.close();
    }

    private static void seekByTime() throws Exception {
        create("sought", 1, Map.of());
        long base = System.currentTimeMillis() - 100_000;
        produce(IntStream.range(0, 10).mapToObj(number -> record("sought", base + 10L * number, null, String.valueOf(number))).collect(Collectors.toList()), Map.of());
        TopicPartition partition = new TopicPartition("sought", 0);
        KafkaConsumer<byte[], byte[]> reader = member("seekers", "sought", Map.of());
        read(reader, 10);
        OffsetAndTimestamp found = reader.offsetsForTimes(Map.of(partition, base + 45)).get(partition);
        equal(List.of(found.offset(), found.timestamp()), List.of(5L, base + 50), "offset and time found");
        reader.seek(partition, found.offset());
        equal(values(read(reader, 5)), numbers(5, 10), "values after the seek");
        reader.close();
    }

    private static void adminCrud() throws Exception {
        create("managed", 3, Map.of("retention.ms", "3600000"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "managed");
        try (Admin admin = admin()) {
            admin.createPartitions(Map.of("managed", NewPartitions.increaseTo(5))).all().get();
            AlterConfigOp operation = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, Set.of(operation))).all().get();
            equal(admin.describeConfigs(Set.of(resource)).all().get().get(resource).get("retention.ms").value(), "7200000", "retention.ms");
            try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
                equal(producer.partitionsFor("managed").size(), 5, "partitions after growth");
            }
            equal(admin.listTopics().names().get().contains("managed"), true, "whether the topic is listed");
            admin.deleteTopics(Set.of("managed")).all().get();
            equal(admin.listTopics().names().get().contains("managed"), false, "whether a deleted topic is listed");
        }
    }

    private static void adminGroups() throws Exception {
        TopicPartition partition = new TopicPartition("committed", 0);
        KafkaConsumer<byte[], byte[]> reader = member("managed-group", "committed", Map.of("client.id", "managed-client"));
        shares(List.of(reader), List.of(1), "partitions of a lone member");
        try (Admin admin = admin()) {
            Set<String> groups = admin.listConsumerGroups().all().get().stream().map(group -> group.groupId()).collect(Collectors.toSet());
            equal(groups.contains("managed-group"), true, "whether the group is listed");
            ConsumerGroupDescription group = admin.describeConsumerGroups(Set.of("managed-group")).all().get().get("managed-group");
            equal(group.partitionAssignor(), "range", "assignor");
            equal(group.members().stream().map(each -> each.clientId() + each.assignment().topicPartitions()).collect(Collectors.toList()),
                List.of("managed-client[committed-0]"), "members");
            reader.close();
            admin.alterConsumerGroupOffsets("managed-group", Map.of(partition, new OffsetAndMetadata(7, "moved"))).all().get();
            Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets("managed-group").partitionsToOffsetAndMetadata().get();
            equal(offsets.get(partition).offset(), 7L, "the offset that was set");
            admin.deleteConsumerGroupOffsets("managed-group", Set.of(partition)).all().get();
            equal(admin.listConsumerGroupOffsets("managed-group").partitionsToOffsetAndMetadata().get(), Map.of(), "offsets after they were deleted");
            admin.alterConsumerGroupOffsets("managed-group", Map.of(partition, new OffsetAndMetadata(1))).all().get();
            admin.deleteConsumerGroups(Set.of("managed-group")).all().get();
            groups = admin.listConsumerGroups().all().get().stream().map(each -> each.groupId()).collect(Collectors.toSet());
            equal(groups.contains("managed-group"), false, "whether a deleted group is listed");
        }
    }

    private static void largeMessage() throws Exception {
        create("large", 1, Map.of("max.message.bytes", "6000000"));
        byte[] value = new byte[5_000_000];
        new Random(1).nextBytes(value);
        produce(List.of(new ProducerRecord<>("large", 0, null, value)), Map.of("max.request.size", "6000000"));
        byte[] stored = readAll("large", 1, Map.of("max.partition.fetch.bytes", "1000000")).get(0).value();
        equal(Arrays.equals(stored, value), true, "whether the value read is the value written");
    }

    private static void compaction() throws Exception {
        create("cleaned", 1, Map.of("cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.01"));
        for (String[] record : new String[][] {{"a", "old"}, {"a", "new"}, {"b", "only"}}) {
            produce(List.of(record("cleaned", null, record[0], record[1])), Map.of());
            Thread.sleep(300);
        }
        List<String> kept = List.of();
        long deadline = System.currentTimeMillis() + WAIT_MS;
        while (!kept.equals(List.of("new", "only")) && System.currentTimeMillis() < deadline) {
            try (KafkaConsumer<byte[], byte[]> reader = consumer(Map.of())) {
                reader.assign(List.of(new TopicPartition("cleaned", 0)));
                kept = values(readUntil(reader, records -> values(records).contains("only")));
            }
        }
        equal(kept, List.of("new", "only"), "values left");
    }

    private static void commitAndAbort() throws Exception {
        create("transacted", 1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("transactional.id", "transactor"))) {
            producer.initTransactions();
            for (int start : new int[] {0, 10, 20}) {
                producer.beginTransaction();
                for (String value : numbers(start, start + 10)) {
                    producer.send(record("transacted", null, null, value)).get(WAIT_MS, TimeUnit.MILLISECONDS);
                }
                if (start == 10) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
        List<String> committed = numbers(0, 30);
        committed.removeAll(numbers(10, 20));
        equal(values(readAll("transacted", 20, Map.of("isolation.level", "read_committed"))), committed, "committed values");
        equal(values(readAll("transacted", 30, Map.of("isolation.level", "read_uncommitted"))), numbers(0, 30), "values written");
    }

    private static void reconnect() throws Exception {
        if (BROKER_HOME.isEmpty()) {
            throw new Skip("only a broker of the harness can be killed");
        }
        create("survived", 1, Map.of());
        KafkaConsumer<byte[], byte[]> reader = member("survivors", "survived", Map.of("session.timeout.ms", "10000"));
        shares(List.of(reader), List.of(1), "partitions of a lone member");
        try (KafkaProducer<byte[], byte[]> writer = producer(Map.of("reconnect.backoff.max.ms", "500"))) {
            for (String value : numbers(0, 100)) {
                if (value.equals("50")) {
                    broker("kill");
                    broker("start");
                }
                writer.send(record("survived", null, null, value)).get(WAIT_MS, TimeUnit.MILLISECONDS);
            }
        }
        equal(values(read(reader, 100)), numbers(0, 100), "values read");
        reader.commitSync();
        reader.close();
    }

    private static void broker(String action) throws Exception {
        Process process = new ProcessBuilder("python3", System.getenv("COMPAT") + "/lib/broker.py", action, BROKER_HOME).inheritIO().start();
        equal(process.waitFor(), 0, "exit code of broker.py " + action);
    }
}
