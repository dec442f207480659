import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs a script of stock tool calls in one JVM, because starting a JVM costs more than most of the calls.
 *
 * Usage: ToolRunner MAP OUTPUT_DIRECTORY SECONDS, the script on stdin. A line of the script is
 * NAME, tool, arguments and optionally a file for the tool's stdin (which may be empty) and when to stop it, separated by
 * tabs; MAP names each tool's main class. Each call leaves NAME.out, NAME.err and NAME.exit in the directory. A call that
 * takes more than SECONDS is given up with exit code 124, as timeout(1) has it. A tool that only a signal ends is sent
 * one: when to stop it is `after SECONDS`, or a text that it prints.
 *
 * It serves the tools of every release since 1.1, and so uses nothing younger by name.
 */
public final class ToolRunner {
    private static final int TIMED_OUT = 124;
    /** What a JVM that SIGTERM ended exits with. */
    private static final int TERMINATED = 143;
    private static final String AFTER = "after ";
    private static final long POLL_MS = 2;
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
        private volatile OutputStream target = OutputStream.nullOutputStream();

        void to(OutputStream next) {
            target = next;
        }

        void off() {
            target = OutputStream.nullOutputStream();
        }

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
    private static Map<?, ?> jvmHooks = Map.of();
    /** Whether the call asked to exit, and its hooks have run. */
    private static volatile boolean ended;

    /** The console consumer of Scala counts the messages it shows in its object, and would go on where the last call ended. */
    private static final String FORGETFUL = "kafka.tools.ConsoleConsumer";

    /** The classes of one tool, loaded anew for one call. Everything else comes from the class path as usual. */
    private static final class Fresh extends ClassLoader {
        private final String main;

        Fresh(String main) {
            super(ToolRunner.class.getClassLoader());
            this.main = main;
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.equals(main) && !name.startsWith(main + "$")) {
                return super.loadClass(name, resolve);
            }
            Class<?> loaded = findLoadedClass(name);
            if (loaded != null) {
                return loaded;
            }
            try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
                byte[] bytes = in.readAllBytes();
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

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
        takeHooks();
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

    /**
     * Has the tools give their hooks to HOOKS. Some, and before 2.5 all, give them to the JVM itself: those are looked up
     * where it lets us (--add-opens java.base/java.lang), which is where no logging library has a hook beside them.
     */
    private static void takeHooks() throws ReflectiveOperationException {
        for (Method method : Exit.class.getMethods()) {
            if (method.getName().equals("setShutdownHookAdder")) {
                Class<?> adder = method.getParameterTypes()[0];
                InvocationHandler add = (proxy, called, args) -> HOOKS.add((Runnable) args[1]);
                method.invoke(null, Proxy.newProxyInstance(adder.getClassLoader(), new Class<?>[] {adder}, add));
            }
        }
        if (Object.class.getModule().isOpen("java.lang", ToolRunner.class.getModule())) {
            Field hooks = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
            hooks.setAccessible(true);
            jvmHooks = (Map<?, ?>) hooks.get(null);
        }
    }

    private static void exit(int code) {
        end(code);
        throw new ExitCalled();
    }

    /** Ends the call as the JVM would end: once, with its hooks, and with nothing printed after that. */
    private static void end(int code) {
        if (EXIT_CODE.compareAndSet(null, code)) {
            runHooks();
            OUT.off();
            ERR.off();
            ended = true;
        }
    }

    private static void runHooks() {
        for (Object hook : jvmHooks.keySet().toArray()) {
            Runtime.getRuntime().removeShutdownHook((Thread) hook);
            HOOKS.add((Thread) hook);
        }
        for (Runnable hook = HOOKS.poll(); hook != null; hook = HOOKS.poll()) {
            hook.run();
        }
    }

    private static int call(Map<String, String> mains, Path directory, String[] fields, long limitMs) throws Exception {
        String name = fields[0];
        if (!mains.containsKey(fields[1])) {
            throw new IllegalArgumentException("no main class is known for the tool " + fields[1]);
        }
        String main = mains.get(fields[1]);
        Class<?> tool = Class.forName(main, true, main.equals(FORGETFUL) ? new Fresh(main) : ToolRunner.class.getClassLoader());
        String[] toolArgs = split(fields.length > 2 ? fields[2] : "");
        String stdin = fields.length > 3 ? fields[3] : "";
        EXIT_CODE.set(null);
        HOOKS.clear();
        ended = false;
        try (OutputStream out = Files.newOutputStream(directory.resolve(name + ".out"));
             OutputStream err = Files.newOutputStream(directory.resolve(name + ".err"));
             InputStream in = stdin.isEmpty() ? new ByteArrayInputStream(new byte[0]) : new FileInputStream(stdin)) {
            OUT.to(out);
            ERR.to(err);
            System.setIn(in);
            boolean isStopped = fields.length > 4;
            Thread thread = new Thread(() -> invoke(tool, toolArgs, isStopped), name);
            thread.setDaemon(true);
            thread.start();
            if (isStopped) {
                // Threads of its own keep it running when main has returned.
                await(() -> true, limitMs, stop(fields[4], directory.resolve(name + ".out")));
                end(TERMINATED);
            } else {
                await(thread::isAlive, limitMs, () -> false);
            }
            if (ended) {
                thread.join(GRACE_MS);
            }
            if (thread.isAlive()) {
                EXIT_CODE.compareAndSet(null, TIMED_OUT);
                OUT.off();
                ERR.off();
                thread.interrupt();
                thread.join(GRACE_MS);
            }
            OUT.off();
            ERR.off();
        }
        int code = EXIT_CODE.get() == null ? 0 : EXIT_CODE.get();
        Files.writeString(directory.resolve(name + ".exit"), code + "\n");
        return code;
    }

    /** Waits until a call is over, has called for the end in another thread, is to be stopped, or takes too long. */
    private static void await(BooleanSupplier runs, long limitMs, Callable<Boolean> stop) throws Exception {
        long deadline = System.nanoTime() + limitMs * 1_000_000;
        while (runs.getAsBoolean() && !ended && !stop.call() && System.nanoTime() < deadline) {
            Thread.sleep(POLL_MS);
        }
    }

    /** When to stop a tool that does not end by itself. */
    private static Callable<Boolean> stop(String when, Path out) {
        if (when.startsWith(AFTER)) {
            long deadline = System.nanoTime() + Long.parseLong(when.substring(AFTER.length())) * 1_000_000_000;
            return () -> System.nanoTime() > deadline;
        }
        return () -> Files.readString(out).contains(when);
    }

    /** An exception that leaves main ends a JVM with code 1 and a stack trace; here too. */
    private static void invoke(Class<?> main, String[] args, boolean isStopped) {
        try {
            main.getMethod("main", String[].class).invoke(null, (Object) args);
            if (!isStopped) {
                runHooks();
            }
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
