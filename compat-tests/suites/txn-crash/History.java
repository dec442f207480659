import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.common.TopicPartition;

/** One client's file of the history; the format is in checker/history.py. Nothing in it needs to be escaped. */
final class History implements AutoCloseable {
    private static Path directory;

    private final String client;
    private final BufferedWriter file;

    /** Has the files of all clients made in a directory. */
    static void keepIn(Path path) {
        directory = path;
    }

    History(String client) {
        this.client = client;
        try {
            this.file = Files.newBufferedWriter(directory.resolve(client + ".jsonl"));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** The clock of all clients: CLOCK_MONOTONIC, as in other languages. */
    static long now() {
        return System.nanoTime();
    }

    void ready(String transactionalId, long since) {
        line("ready", ",\"transactional-id\":\"" + transactionalId + "\",\"since\":" + since);
    }

    void begin() {
        line("begin", "");
    }

    void send(TopicPartition partition, String value) {
        line("send", ",\"partition\":\"" + partition + "\",\"value\":\"" + value + "\"");
    }

    void sent(String value, long offset) {
        line("sent", ",\"value\":\"" + value + "\",\"offset\":" + offset);
    }

    void commit() {
        line("commit", "");
    }

    void committed() {
        line("committed", "");
    }

    void abort() {
        line("abort", "");
    }

    void assigned(Map<TopicPartition, Long> positions) {
        line("assigned", ",\"positions\":" + object(positions));
    }

    void poll(String isolation, ConsumerRecords<byte[], String> records) {
        if (records.isEmpty()) {
            return;
        }
        StringBuilder rows = new StringBuilder();
        for (ConsumerRecord<byte[], String> record : records) {
            rows.append(rows.length() == 0 ? "" : ",").append("[\"").append(record.topic()).append('-').append(record.partition())
                    .append("\",").append(record.offset()).append(",\"").append(record.value()).append("\"]");
        }
        line("poll", ",\"isolation\":\"" + isolation + "\",\"records\":[" + rows + "]");
    }

    void commitOffsets(String group, int generation, Map<TopicPartition, Long> offsets) {
        line("commit-offsets", ",\"group\":\"" + group + "\",\"generation\":" + generation + ",\"offsets\":" + object(offsets));
    }

    void readOffsets(String group, Map<TopicPartition, Long> offsets, long since) {
        line("read-offsets", ",\"group\":\"" + group + "\",\"offsets\":" + object(offsets) + ",\"since\":" + since);
    }

    private static String object(Map<TopicPartition, Long> offsets) {
        StringBuilder members = new StringBuilder();
        offsets.forEach((partition, offset) ->
                members.append(members.length() == 0 ? "" : ",").append('"').append(partition).append("\":").append(offset));
        return "{" + members + "}";
    }

    /** Acknowledgements come from a thread of the client. */
    private synchronized void line(String event, String fields) {
        try {
            file.write("{\"client\":\"" + client + "\",\"event\":\"" + event + "\",\"time\":" + now() + fields + "}\n");
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    @Override
    public synchronized void close() {
        try {
            file.close();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
