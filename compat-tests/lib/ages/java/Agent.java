import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * An agent (agent.py says what that is) on the Java client. It uses only what every release since 0.9 has; the class that its
 * argument names, Release or one derived from it, has the rest of what the release at hand can do.
 */
public final class Agent {
    private static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    private static final long WAIT_MS = 30_000;
    private static final int LARGEST_MESSAGE = 6_000_000;

    private final Release release;
    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private final PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private final Map<String, Member> members = new HashMap<>();
    private KafkaConsumer<byte[], byte[]> reader;

    private Agent(Release release) {
        this.release = release;
    }

    public static void main(String[] args) throws Exception {
        Agent agent = new Agent((Release) Class.forName(args[0]).getDeclaredConstructor().newInstance());
        agent.serve();
        // A client that lost its broker must not keep the process.
        Runtime.getRuntime().halt(0);
    }

    private void serve() throws IOException {
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                answer(line.split("\t", -1));
                out.println("ok");
            } catch (Exception | LinkageError error) {
                out.println("error\t" + chain(error));
            }
            out.flush();
        }
    }

    private static String chain(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            text.append(text.length() == 0 ? "" : ", caused by ").append(cause);
        }
        return text.toString().replaceAll("\\s+", " ");
    }

    private void answer(String[] words) throws Exception {
        switch (words[0]) {
            case "produce" -> produce(words[1], Integer.parseInt(words[2]), words[3], Integer.parseInt(words[4]));
            case "transact" -> release.transact(properties(Map.of()), records(words[1], 0, Integer.parseInt(words[3])), words[2].equals("commit"));
            case "read" -> read(new TopicPartition(words[1], Integer.parseInt(words[2])), Long.parseLong(words[3]), Integer.parseInt(words[4]),
                Integer.parseInt(words[5]));
            case "time" -> out.println(release.offsetForTime(reader(), new TopicPartition(words[1], Integer.parseInt(words[2])), Long.parseLong(words[3])));
            case "join" -> join(words[1], words[2], words[3], words[4]);
            case "look" -> members.get(words[1]).look().forEach(out::println);
            case "commit" -> members.get(words[1]).commit();
            case "leave" -> members.remove(words[1]).leave();
            case "committed" -> committed(words[1], new TopicPartition(words[2], Integer.parseInt(words[3])));
            case "create" -> release.create(properties(Map.of()), words[1], Integer.parseInt(words[2]));
            case "delete" -> release.delete(properties(Map.of()), words[1]);
            default -> throw new IllegalArgumentException("no command is " + words[0]);
        }
    }

    private static Properties properties(Map<String, String> settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", BOOTSTRAP);
        properties.put("reconnect.backoff.ms", "100");
        properties.putAll(settings);
        return properties;
    }

    /** The next `count` lines of the input as records. */
    private List<ProducerRecord<byte[], byte[]>> records(String topic, int partition, int count) throws IOException {
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            String[] fields = in.readLine().split("\t", -1);
            Long timestamp = fields[0].equals("-") ? null : Long.valueOf(fields[0]);
            records.add(release.record(topic, partition, timestamp, Release.bytes(fields[1]), Release.bytes(fields[2]), fields[3]));
        }
        return records;
    }

    private void produce(String topic, int partition, String codec, int count) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = records(topic, partition, count);
        // Several records to a batch and several batches to a test. A producer that dies with its broker tries again.
        Properties properties = properties(Map.of("compression.type", codec, "acks", "all", "linger.ms", "20", "batch.size", "2000",
            "max.request.size", String.valueOf(LARGEST_MESSAGE), "retries", "100", "max.in.flight.requests.per.connection", "1"));
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            records.forEach(record -> sent.add(producer.send(record)));
            for (Future<RecordMetadata> future : sent) {
                out.println(future.get(WAIT_MS, TimeUnit.MILLISECONDS).offset());
            }
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Map<String, String> settings) {
        Map<String, String> all = new HashMap<>(Map.of("enable.auto.commit", "false", "auto.offset.reset", "earliest", "check.crcs", "true",
            "fetch.max.wait.ms", "100", "max.partition.fetch.bytes", String.valueOf(LARGEST_MESSAGE)));
        all.putAll(settings);
        return new KafkaConsumer<>(properties(all), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private KafkaConsumer<byte[], byte[]> reader() {
        if (reader == null) {
            reader = consumer(release.committedOnly());
        }
        return reader;
    }

    private void read(TopicPartition partition, long offset, int count, int seconds) {
        try {
            reader().assign(Arrays.asList(partition));
            reader().seek(partition, offset);
            long deadline = System.currentTimeMillis() + 1000L * seconds;
            for (int seen = 0; seen < count; ) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("only " + seen + " records came");
                }
                ConsumerRecords<byte[], byte[]> records = release.poll(reader(), 100);
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    out.println(release.line(record));
                }
                seen += records.count();
            }
        } catch (RuntimeException error) {
            // A consumer that has thrown is not used again.
            reader.close();
            reader = null;
            throw error;
        }
    }

    private void join(String name, String group, String topic, String assignor) {
        KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("group.id", group, "session.timeout.ms", "6000", "heartbeat.interval.ms", "300",
            "client.id", name, "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor));
        Member member = new Member(release, consumer, topic);
        members.put(name, member);
        member.start();
    }

    private void committed(String group, TopicPartition partition) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("group.id", group))) {
            OffsetAndMetadata found = release.committed(consumer, partition);
            out.println(found == null ? "-" : found.offset() + "\t" + found.metadata());
        }
    }
}
