import java.util.Collections;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;

/** What 0.10 added: timestamps (KIP-32) and offsets by time (KIP-79). */
class Since010 extends Release {
    Since010() throws NoSuchMethodException {
    }

    @Override
    ProducerRecord<byte[], byte[]> record(String topic, int partition, Long timestamp, byte[] key, byte[] value, String headers) {
        return new ProducerRecord<>(topic, partition, timestamp, key, value);
    }

    @Override
    String stamp(ConsumerRecord<byte[], byte[]> record) {
        return (record.timestampType() == TimestampType.LOG_APPEND_TIME ? "L" : "C") + record.timestamp();
    }

    @Override
    Long offsetForTime(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long timestamp) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Collections.singletonMap(partition, timestamp)).get(partition);
        return found == null ? -1 : found.offset();
    }
}
