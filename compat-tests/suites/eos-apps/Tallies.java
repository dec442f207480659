import java.io.FileInputStream;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.KStream;

/**
 * An exactly-once job with state. A record is keyed by its source, its value is TALLY,NUMBER,AMOUNT; records are spread anew by
 * their tally, and each makes an output record of the tally: SOURCE,NUMBER,COUNT,SUM, with count and sum up to this record.
 *
 * Usage: Tallies CONFIG_FILE
 */
public final class Tallies {
    private Tallies() {
    }

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        try (FileInputStream file = new FileInputStream(args[0])) {
            properties.load(file);
        }
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);

        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> amounts = builder.stream("amounts");
        amounts.map((source, value) -> {
            String[] fields = value.split(",");
            return KeyValue.pair(fields[0], source + "," + fields[1] + "," + fields[2]);
        }).groupByKey().aggregate(() -> ",,0,0", (tally, value, state) -> {
            String[] fields = value.split(",");
            String[] before = state.split(",");
            long count = Long.parseLong(before[2]) + 1;
            long sum = Long.parseLong(before[3]) + Long.parseLong(fields[2]);
            return fields[0] + "," + fields[1] + "," + count + "," + sum;
        }).toStream().to("tallies");

        KafkaStreams streams = new KafkaStreams(builder.build(), properties);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close();
            stopped.countDown();
        }));
        streams.start();
        stopped.await();
    }
}
