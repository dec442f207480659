import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import kafka.consumer.BaseConsumerRecord;
import kafka.tools.MirrorMaker;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The first mirror maker, from topics to topics of the same broker: it hands each record on under its own name, so here
 * `.copy` is added to that, and how many records went by is printed.
 *
 * Usage: MirrorToCopy the options of kafka.tools.MirrorMaker
 */
public final class MirrorToCopy implements MirrorMaker.MirrorMakerMessageHandler {
    private static final AtomicInteger HANDLED = new AtomicInteger();

    public static void main(String[] args) {
        HANDLED.set(0);
        String[] withHandler = Arrays.copyOf(args, args.length + 2);
        withHandler[args.length] = "--message.handler";
        withHandler[args.length + 1] = MirrorToCopy.class.getName();
        MirrorMaker.main(withHandler);
    }

    @Override
    public List<ProducerRecord<byte[], byte[]>> handle(BaseConsumerRecord record) {
        System.out.println("mirrored " + HANDLED.incrementAndGet());
        return List.of(new ProducerRecord<>(record.topic() + ".copy", null, record.timestamp(), record.key(), record.value(), record.headers()));
    }
}
