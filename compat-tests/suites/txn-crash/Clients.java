import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * Clients of one release in one process, each a thread that writes a history: transactional producers, some that fight for
 * an id, copiers that consume, transform and produce, and readers.
 *
 * Usage: Clients BOOTSTRAP RELEASE DIRECTORY SEED GROUP_PROTOCOL. On stdin `quiet` ends the producers and `stop` the rest; each
 * is answered by the same word when it is done.
 */
final class Clients {
    static final String SOURCE = "txn-source";
    static final String SINK = "txn-sink";
    static final int PARTITIONS = 4;
    static final int TRANSACTION_TIMEOUT_MS = 15_000;
    private static final int PRODUCERS = 2;
    private static final int COPIERS = 2;
    /** How long after the order to stop a client may still ask again. */
    private static final long LATE_NANOS = 60_000_000_000L;

    /** What a client runs until the flag is set. */
    interface Role {
        void run(Flag stopping);
    }

    /** Set once, with the time from which on it is late. */
    static final class Flag {
        private volatile long lateAfter;
        private volatile boolean set;

        boolean isSet() {
            return set;
        }

        void set() {
            lateAfter = System.nanoTime() + LATE_NANOS;
            set = true;
        }

        boolean late() {
            return set && System.nanoTime() > lateAfter;
        }
    }

    private static final Flag QUIET = new Flag();
    private static final Flag STOP = new Flag();
    private static String bootstrap;

    private Clients() {
    }

    static Properties base() {
        Properties properties = new Properties();
        properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        properties.put(CommonClientConfigs.REQUEST_TIMEOUT_MS_CONFIG, 5_000);
        properties.put(CommonClientConfigs.RECONNECT_BACKOFF_MAX_MS_CONFIG, 200);
        properties.put(CommonClientConfigs.RETRY_BACKOFF_MS_CONFIG, 50);
        return properties;
    }

    /** Passes an answer that never came on, if all should be over by now. */
    static void giveUpIfLate(TimeoutException error) {
        if (STOP.late() || QUIET.late()) {
            throw error;
        }
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        String release = args[1];
        History.keepIn(Paths.get(args[2]));
        Random chance = new Random(Long.parseLong(args[3]));
        List<Thread> producers = new ArrayList<>();
        for (int number = 0; number < PRODUCERS; number++) {
            String name = "producer-" + release + "-" + number;
            producers.add(start(name, new Writer(name, name, 0, new Random(chance.nextLong())), QUIET));
        }
        // The id is the same in every process.
        String fighter = "fighter-" + release;
        producers.add(start(fighter, new Writer(fighter, "fought-over", 1_000, new Random(chance.nextLong())), QUIET));
        List<Thread> others = new ArrayList<>();
        for (int number = 0; number < COPIERS; number++) {
            String name = "copier-" + release + "-" + number;
            others.add(start(name, new Copier(name, "copiers-" + release, args[4], SINK + "-" + release, new Random(chance.nextLong())), STOP));
        }
        for (String isolation : List.of("read_committed", "read_uncommitted")) {
            others.add(start(isolation + "-" + release, new Reader(isolation + "-" + release, isolation), STOP));
        }
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        obey(orders, "quiet", QUIET, producers);
        obey(orders, "stop", STOP, others);
    }

    private static Thread start(String name, Role role, Flag stopping) {
        Thread thread = new Thread(() -> {
            try {
                role.run(stopping);
            } catch (RuntimeException error) {
                System.out.println(name + " failed: " + error);
                error.printStackTrace(System.out);
                System.exit(1);
            }
        }, name);
        thread.start();
        return thread;
    }

    private static void obey(BufferedReader orders, String order, Flag flag, List<Thread> threads) throws Exception {
        if (!order.equals(orders.readLine())) {
            System.exit(2);
        }
        flag.set();
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(order);
    }
}
