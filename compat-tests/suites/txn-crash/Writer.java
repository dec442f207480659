import java.util.Random;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/** Writes transactions: most are committed, some aborted, and a few left open when their producer goes away. */
final class Writer implements Clients.Role {
    private static final double ABORT = 0.25;
    private static final double FLUSH = 0.2;
    private static final double LEAVE_OPEN = 0.03;
    private static final int MOST_VALUES = 15;

    private final String name;
    private final String transactionalId;
    /** How long a producer stays away after its end, at most. */
    private final int awayMs;
    private final Random chance;
    private int producers;

    Writer(String name, String transactionalId, int awayMs, Random chance) {
        this.name = name;
        this.transactionalId = transactionalId;
        this.awayMs = awayMs;
        this.chance = chance;
    }

    /** One producer after another, each a client of its own in the history, with the same transactional id. */
    @Override
    public void run(Clients.Flag stopping) {
        while (!stopping.isSet()) {
            String client = name + "." + producers++;
            try (History history = new History(client); TransactionalProducer producer = new TransactionalProducer(transactionalId, history)) {
                live(client, producer, stopping);
            }
            Clients.pause(awayMs == 0 ? 0 : chance.nextInt(awayMs));
        }
    }

    /** Writes transactions until it is time to stop, or the producer is fenced, or leaves a transaction open. */
    private void live(String client, TransactionalProducer producer, Clients.Flag stopping) {
        try {
            producer.takeId();
        } catch (KafkaException error) {
            return;
        }
        for (int number = 0; !stopping.isSet(); number++) {
            try {
                producer.begin();
                if (!transaction(client + ":" + number, producer)) {
                    return;
                }
            } catch (KafkaException | IllegalStateException error) {
                if (!producer.recover()) {
                    return;
                }
            }
            Clients.pause(chance.nextInt(30));
        }
    }

    /** One transaction up to its end; false if it is left open. */
    private boolean transaction(String prefix, TransactionalProducer producer) {
        int values = 1 + chance.nextInt(MOST_VALUES);
        for (int index = 0; index < values; index++) {
            producer.send(new TopicPartition(Clients.SOURCE, chance.nextInt(Clients.PARTITIONS)), prefix + ":" + index);
            if (chance.nextDouble() < FLUSH) {
                producer.flush();
            }
        }
        double end = chance.nextDouble();
        if (end < LEAVE_OPEN) {
            return false;
        }
        if (end < LEAVE_OPEN + ABORT) {
            producer.abort();
        } else {
            producer.commit();
        }
        return true;
    }
}
