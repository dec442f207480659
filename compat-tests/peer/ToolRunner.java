import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs a script of stock tool calls in one JVM, because starting a JVM costs more than most of the calls.
 *
 * Usage: ToolRunner MAP OUTPUT_DIRECTORY SECONDS, the script on stdin. A line of the script is
 * NAME, tool, arguments and optionally a file for the tool's stdin, separated by tabs; MAP names each tool's main class.
 * Each call leaves NAME.out, NAME.err and NAME.exit in the directory. A call that takes more than SECONDS
 * is given up with exit code 124, as timeout(1) has it.
 */
public final class ToolRunner {
    private static final int TIMED_OUT = 124;
    /** How long an interrupted call may take to end, so that its last words are not taken for the next call's. */
    private static final long GRACE_MS = 2000;

    /** Thrown in place of ending the JVM. */
    private static final class ExitCalled extends RuntimeException {
        ExitCalled() {
            super("exit", null, false, false);
        }
    }

    /**
     * What System.out and System.err stay for the whole run, since Scala's println and static fields of the tools
     * keep the stream they saw first. What a tool prints after it asked to exit is dropped: that code would not run.
     */
    private static final class Switch extends OutputStream {
        volatile OutputStream target = OutputStream.nullOutputStream();

        @Override
        public void write(int b) throws IOException {
            target.write(b);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            target.write(bytes, offset, length);
        }

        @Override
        public void flush() throws IOException {
            target.flush();
        }
    }

    private static final Switch OUT = new Switch();
    private static final Switch ERR = new Switch();
    private static final AtomicReference<Integer> EXIT_CODE = new AtomicReference<>();
    /** The console producer closes, and so flushes, in its shutdown hook. */
    private static final Queue<Runnable> HOOKS = new ConcurrentLinkedQueue<>();

    public static void main(String[] args) throws Exception {
        Map<String, String> mains = readMap(Paths.get(args[0]));
        Path directory = Paths.get(args[1]);
        long limitMs = Long.parseLong(args[2]) * 1000;
        PrintStream console = System.out;
        List<String> lines = new String(System.in.readAllBytes()).lines().toList();
        System.setOut(new PrintStream(OUT, true));
        System.setErr(new PrintStream(ERR, true));
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        for (String line : lines) {
            if (!line.isBlank() && !line.startsWith("#")) {
                String[] fields = line.split("\t");
                long start = System.nanoTime();
                int code = call(mains, directory, fields, limitMs);
                console.printf("%s exit %d in %d ms%n", fields[0], code, (System.nanoTime() - start) / 1_000_000);
            }
        }
        System.exit(0);
    }

    private static Map<String, String> readMap(Path path) throws IOException {
        Map<String, String> mains = new HashMap<>();
        for (String line : Files.readAllLines(path)) {
            String[] parts = line.split("=", 2);
            mains.put(parts[0], parts[1]);
        }
        return mains;
    }

    private static void exit(int code) {
        if (EXIT_CODE.compareAndSet(null, code)) {
            runHooks();
            OUT.target = OutputStream.nullOutputStream();
            ERR.target = OutputStream.nullOutputStream();
        }
        throw new ExitCalled();
    }

    private static void runHooks() {
        for (Runnable hook = HOOKS.poll(); hook != null; hook = HOOKS.poll()) {
            hook.run();
        }
    }

    private static int call(Map<String, String> mains, Path directory, String[] fields, long limitMs) throws Exception {
        String name = fields[0];
        if (!mains.containsKey(fields[1])) {
            throw new IllegalArgumentException("no main class is known for the tool " + fields[1]);
        }
        Class<?> main = Class.forName(mains.get(fields[1]));
        String[] toolArgs = split(fields.length > 2 ? fields[2] : "");
        EXIT_CODE.set(null);
        HOOKS.clear();
        try (OutputStream out = Files.newOutputStream(directory.resolve(name + ".out"));
             OutputStream err = Files.newOutputStream(directory.resolve(name + ".err"));
             InputStream in = fields.length > 3 ? new FileInputStream(fields[3]) : new ByteArrayInputStream(new byte[0])) {
            OUT.target = out;
            ERR.target = err;
            System.setIn(in);
            Thread thread = new Thread(() -> invoke(main, toolArgs), name);
            thread.setDaemon(true);
            thread.start();
            thread.join(limitMs);
            if (thread.isAlive()) {
                EXIT_CODE.compareAndSet(null, TIMED_OUT);
                OUT.target = OutputStream.nullOutputStream();
                ERR.target = OutputStream.nullOutputStream();
                thread.interrupt();
                thread.join(GRACE_MS);
            }
            OUT.target = OutputStream.nullOutputStream();
            ERR.target = OutputStream.nullOutputStream();
        }
        int code = EXIT_CODE.get() == null ? 0 : EXIT_CODE.get();
        Files.writeString(directory.resolve(name + ".exit"), code + "\n");
        return code;
    }

    /** An exception that leaves main ends a JVM with code 1 and a stack trace; here too. */
    private static void invoke(Class<?> main, String[] args) {
        try {
            main.getMethod("main", String[].class).invoke(null, (Object) args);
            runHooks();
        } catch (InvocationTargetException e) {
            if (!(e.getCause() instanceof ExitCalled) && EXIT_CODE.get() == null) {
                StringWriter trace = new StringWriter();
                e.getCause().printStackTrace(new PrintWriter(trace));
                System.err.print("Exception in thread \"main\" " + trace);
                EXIT_CODE.compareAndSet(null, 1);
                runHooks();
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(main + " cannot be run", e);
        }
    }

    /** Splits at spaces; single and double quotes keep spaces and may be empty. */
    private static String[] split(String text) {
        List<String> words = new ArrayList<>();
        StringBuilder word = null;
        char quote = 0;
        for (char c : text.toCharArray()) {
            if (quote != 0 && c == quote) {
                quote = 0;
            } else if (quote == 0 && (c == '\'' || c == '"')) {
                quote = c;
                word = word == null ? new StringBuilder() : word;
            } else if (quote == 0 && c == ' ') {
                if (word != null) {
                    words.add(word.toString());
                }
                word = null;
            } else {
                word = word == null ? new StringBuilder() : word;
                word.append(c);
            }
        }
        if (word != null) {
            words.add(word.toString());
        }
        return words.toArray(new String[0]);
    }
}
