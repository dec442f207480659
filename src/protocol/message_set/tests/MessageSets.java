import java.io.DataOutputStream;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.utils.BufferSupplier;
import org.apache.kafka.common.utils.ByteBufferOutputStream;
import org.apache.kafka.common.utils.PrimitiveRef;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.common.MetadataVersion;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

/**
 * Writes java-message-sets.txt: what Apache Kafka's own classes make of message sets that are produced and of
 * batches that are fetched by old clients. Run with the jars kafka-clients, kafka-storage and
 * kafka-server-common of 3.9.2, slf4j-api, snappy-java and lz4-java on the class path:
 *
 *     java -cp JARS MessageSets.java 1 60 > java-message-sets.txt
 *
 * The arguments are a seed, and how many sets and how many batches are made up beside those with a name.
 */
public class MessageSets {
    static final long NOW = 1_700_000_000_000L;
    static final HexFormat HEX = HexFormat.of();
    static final Compression[] OLD_CODECS = {
        Compression.NONE, Compression.gzip().build(), Compression.snappy().build(), Compression.lz4().build()
    };
    /** A clock that stands still. */
    static final Time TIME = (Time) Proxy.newProxyInstance(
        MessageSets.class.getClassLoader(),
        new Class<?>[] {Time.class},
        (proxy, method, arguments) -> method.getName().equals("milliseconds") ? NOW : 0L);

    /** What a topic demands, as in UpgradeRules. */
    record Rules(TimestampType type, boolean compacted, Compression target, long beforeMs, long afterMs, int max) {
        static final Rules PLAIN =
            new Rules(TimestampType.CREATE_TIME, false, null, Long.MAX_VALUE, 3_600_000, 1_000_000);

        @Override
        public String toString() {
            return (type == TimestampType.CREATE_TIME ? "create " : "append ") + compacted + " "
                + (target == null ? "-" : target.type().id) + " " + beforeMs + " " + afterMs + " " + max;
        }
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("# What Apache Kafka 3.9.2 makes of message sets and batches, written by MessageSets.java. Fields:");
        System.out.println("# up NAME TIMESTAMP_TYPE COMPACTED CODEC BEFORE_MS AFTER_MS MAX_BYTES SET RESULT");
        System.out.println("# down NAME MAGIC FROM BATCHES RESULT");
        namedSets();
        namedBatches();
        Random random = new Random(Long.parseLong(arguments[0]));
        for (int index = 0; index < Integer.parseInt(arguments[1]); index++) {
            up("random-" + index, randomRules(random), randomSet(random));
            byte magic = (byte) random.nextInt(2);
            down("random-" + index, magic, random.nextInt(12), randomBatches(random));
        }
    }

    static void up(String name, Rules rules, byte[] set) {
        String result;
        try {
            result = hex(append(set, rules));
        } catch (Throwable error) {
            Throwable cause = error instanceof RecordValidationException refused ? refused.invalidException() : error;
            result = Errors.forException(cause).name();
        }
        System.out.println("up " + name + " " + rules + " " + hex(set) + " " + result);
    }

    static void down(String name, byte magic, long from, byte[] batches) {
        String result;
        try {
            MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(batches));
            result = hex(bytes(records.downConvert(magic, from, TIME).records()));
        } catch (Throwable error) {
            result = Errors.forException(error).name();
        }
        System.out.println("down " + name + " " + magic + " " + from + " " + hex(batches) + " " + result);
    }

    /** UnifiedLog.append, as far as it does not need a log. */
    static byte[] append(byte[] set, Rules rules) {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(set.clone()));
        CompressionType source = CompressionType.NONE;
        int validBytes = 0;
        for (RecordBatch batch : records.batches()) {
            if (batch.magic() >= 2 && batch.baseOffset() != 0)
                throw new InvalidRecordException("base offset");
            batch.lastOffset();
            if (batch.sizeInBytes() > rules.max)
                throw new RecordTooLargeException();
            if (!batch.isValid())
                throw new CorruptRecordException();
            batch.maxTimestamp();
            if (batch.compressionType() != CompressionType.NONE)
                source = batch.compressionType();
            validBytes += batch.sizeInBytes();
        }
        if (validBytes == 0)
            return new byte[0];
        records = MemoryRecords.readableRecords(ByteBuffer.wrap(set.clone(), 0, validBytes).slice());
        Compression target = rules.target == null ? Compression.of(source).build() : rules.target;
        LogValidator.MetricsRecorder metrics = (LogValidator.MetricsRecorder) Proxy.newProxyInstance(
            MessageSets.class.getClassLoader(),
            new Class<?>[] {LogValidator.MetricsRecorder.class},
            (proxy, method, arguments) -> null);
        LogValidator validator = new LogValidator(records, new TopicPartition("t", 0), TIME, source, target,
            rules.compacted, (byte) 2, rules.type, rules.beforeMs, rules.afterMs, -1, AppendOrigin.CLIENT,
            MetadataVersion.latestProduction());
        LogValidator.ValidationResult result = validator.validateMessagesAndAssignOffsets(
            PrimitiveRef.ofLong(0), metrics, BufferSupplier.NO_CACHING);
        for (MutableRecordBatch batch : result.validatedRecords.batches())
            if (result.messageSizeMaybeChanged && batch.sizeInBytes() > rules.max)
                throw new RecordTooLargeException();
        return bytes(result.validatedRecords);
    }

    static void namedSets() throws Exception {
        Rules plain = Rules.PLAIN;
        Rules appendTime = new Rules(TimestampType.LOG_APPEND_TIME, false, null, Long.MAX_VALUE, Long.MAX_VALUE, 1_000_000);
        Rules compacted = new Rules(TimestampType.CREATE_TIME, true, null, Long.MAX_VALUE, 1, 1_000_000);
        Rules bounded = new Rules(TimestampType.CREATE_TIME, false, null, 1_000, 1_000, 1_000_000);
        for (byte magic = 0; magic < 2; magic++) {
            for (Compression codec : OLD_CODECS) {
                String name = "v" + magic + "-" + codec.type().name;
                byte[] set = built(magic, codec, TimestampType.CREATE_TIME, 0);
                up(name, plain, set);
                up(name + "-append-time", appendTime, set);
                up(name + "-no-key", compacted, set);
                up(name + "-old", bounded, set);
                up(name + "-zstd", new Rules(plain.type, false, Compression.zstd().build(), Long.MAX_VALUE, 1, 1_000_000), set);
                up(name + "-plain", new Rules(plain.type, false, Compression.NONE, Long.MAX_VALUE, 1, 1_000_000), set);
                byte[] stamped = built(magic, codec, TimestampType.LOG_APPEND_TIME, 0);
                up(name + "-stamped", plain, stamped);
                up(name + "-stamped-append-time", appendTime, stamped);
            }
            byte[] wrapper = built(magic, OLD_CODECS[1], TimestampType.CREATE_TIME, 7);
            byte[] message = message(3, magic, 0, NOW, "k", "v");
            up("v" + magic + "-two-wrappers", plain, concat(wrapper, wrapper));
            up("v" + magic + "-wrapper-and-message", plain, concat(wrapper, message));
            up("v" + magic + "-message-and-wrapper", plain, concat(message, wrapper));
            up("v" + magic + "-other-magic", plain, concat(message, message(0, (byte) (1 - magic), 0, NOW, "k", "v")));
            up("v" + magic + "-cut", plain, concat(message, Arrays.copyOf(message, 20)));
            up("v" + magic + "-nothing-but-cut", plain, Arrays.copyOf(message, 20));
            up("v" + magic + "-zeroes-behind", plain, concat(message, new byte[12]));
            up("v" + magic + "-few-zeroes-behind", plain, concat(message, new byte[11]));
            up("v" + magic + "-no-such-magic", plain, message(0, (byte) 3, 0, NOW, "k", "v"));
            up("v" + magic + "-bad-crc", plain, flipped(message, 12));
            up("v" + magic + "-second-bad-crc", compacted, concat(message(0, magic, 0, NOW, null, "v"), flipped(message, 12)));
            up("v" + magic + "-negative-time", plain, message(0, magic, 0, -2, "k", "v"));
            up("v" + magic + "-no-time", bounded, message(0, magic, 0, -1, "k", "v"));
            up("v" + magic + "-no-time-stamped", bounded, message(0, magic, 8, -1, "k", "v"));
            up("v" + magic + "-future", bounded, message(0, magic, 0, NOW + 1_001, "k", "v"));
            up("v" + magic + "-too-large", new Rules(plain.type, false, null, Long.MAX_VALUE, 1, message.length - 1), message);
            up("v" + magic + "-too-large-converted", new Rules(plain.type, false, null, Long.MAX_VALUE, 1, message.length), message);
            up("v" + magic + "-unknown-codec", plain, message(0, magic, 5, NOW, "k", "v"));
            up("v" + magic + "-zstd-wrapper", plain, wrapper(9, magic, 4, NOW, message));
            up("v" + magic + "-null-wrapper", plain, message(0, magic, 1, NOW, null, null));
            up("v" + magic + "-empty-wrapper", plain, wrapper(0, magic, 1, NOW, new byte[0]));
            up("v" + magic + "-not-gzip", plain, message(0, magic, 1, NOW, null, "no gzip"));
            up("v" + magic + "-wrapper-in-wrapper", plain, wrapper(9, magic, 1, NOW, wrapper));
            up("v" + magic + "-inner-bad-crc", plain, wrapper(9, magic, 1, NOW, flipped(message, 12)));
            up("v" + magic + "-inner-bad-crc-last", compacted,
                wrapper(9, magic, 1, NOW, concat(message(0, magic, 0, NOW, null, "v"), flipped(message, 12))));
            up("v" + magic + "-inner-no-key-and-future", compacted, wrapper(9, magic, 1, NOW,
                concat(message(0, magic, 0, NOW, null, "v"), message(1, magic, 0, NOW + 5, "k", "v"))));
            up("v" + magic + "-inner-too-small", plain, wrapper(9, magic, 1, NOW, concat(message, new byte[12])));
            up("v" + magic + "-inner-cut", plain, wrapper(9, magic, 1, NOW, concat(message, Arrays.copyOf(message, 20))));
            up("v" + magic + "-inner-other-magic", plain,
                wrapper(9, magic, 1, NOW, concat(message, message(4, (byte) (1 - magic), 0, NOW, "k", "v"))));
            up("v" + magic + "-wrapper-offset-zero", plain, wrapper(0, magic, 1, NOW, message));
            up("v" + magic + "-wrapper-offset-low", plain, wrapper(2, magic, 1, NOW, message));
            up("v" + magic + "-wrapper-with-key", compacted, sealed(9, magic, 1, NOW, "k".getBytes(), compressed(magic, 1, message)));
            up("v" + magic + "-key-runs-over", plain, withLength(message(0, magic, 0, NOW, "k", "v"), magic == 0 ? 18 : 26, 99));
            up("v" + magic + "-bytes-behind-value", plain, withLength(message(0, magic, 0, NOW, "k", "value"), magic == 0 ? 23 : 31, 2));
            up("v" + magic + "-raw-snappy", plain, sealed(9, magic, 2, NOW, null, org.xerial.snappy.Snappy.compress(message)));
        }
        byte[] batch = built((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 0);
        up("v2", plain, batch);
        up("v2-gzip", plain, built((byte) 2, OLD_CODECS[1], TimestampType.CREATE_TIME, 0));
        up("v2-append-time", appendTime, batch);
        up("v2-no-key", compacted, batch);
        up("v2-twice", plain, concat(batch, batch));
        up("v2-and-message", plain, concat(batch, message(0, (byte) 1, 0, NOW, "k", "v")));
        up("v2-behind-message", plain, concat(message(0, (byte) 1, 0, NOW, "k", "v"), batch));
        up("v2-bad-crc", plain, flipped(batch, 17));
        up("v2-base-offset", plain, built((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 4));
        up("v2-base-offset-behind-message", plain, concat(message(0, (byte) 1, 0, NOW, "k", "v"),
            built((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 4)));
        up("nothing", plain, new byte[0]);
    }

    static void namedBatches() throws Exception {
        for (byte magic = 0; magic < 2; magic++) {
            for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
                for (Compression codec : OLD_CODECS) {
                    byte[] batch = built((byte) 2, codec, type, 40);
                    down(codec.type().name + "-" + type, magic, 0, batch);
                    down(codec.type().name + "-" + type + "-from-the-middle", magic, 41, batch);
                }
            }
            byte[] zstd = built((byte) 2, Compression.zstd().build(), TimestampType.CREATE_TIME, 40);
            byte[] control = control(30);
            down("zstd", magic, 0, zstd);
            down("control", magic, 0, control);
            down("control-and-records", magic, 0, concat(control, built((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 40)));
            down("gaps", magic, 0, gaps(Compression.NONE));
            down("gaps-gzip", magic, 0, gaps(OLD_CODECS[1]));
            down("behind-all", magic, 99, built((byte) 2, Compression.NONE, TimestampType.CREATE_TIME, 40));
            down("nothing", magic, 0, new byte[0]);
        }
    }

    /** Three records, the last a delete with headers where there are headers, timestamps out of order. */
    static byte[] built(byte magic, Compression codec, TimestampType type, long baseOffset) {
        MemoryRecordsBuilder builder =
            MemoryRecords.builder(ByteBuffer.allocate(1024), magic, codec, type, baseOffset, NOW - 2_000);
        builder.append(NOW - 10, "key".getBytes(), "a value that repeats, repeats, repeats, repeats, repeats".getBytes());
        builder.append(NOW, null, "".getBytes());
        Header[] headers = {new RecordHeader("h", "1".getBytes()), new RecordHeader("h", null)};
        builder.append(NOW - 5_000, "".getBytes(), null, magic < 2 ? new Header[0] : headers);
        return bytes(builder.build());
    }

    /** As compaction leaves a batch. */
    static byte[] gaps(Compression codec) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(
            ByteBuffer.allocate(1024), (byte) 2, codec, TimestampType.CREATE_TIME, 40, NOW);
        for (long offset : new long[] {42, 43, 47})
            builder.appendWithOffset(offset, NOW + offset, "key".getBytes(), ("value " + offset).getBytes());
        return bytes(builder.build());
    }

    static byte[] control(long offset) {
        return bytes(MemoryRecords.withEndTransactionMarker(offset, NOW, 3, 77L, (short) 2,
            new org.apache.kafka.common.record.EndTransactionMarker(
                org.apache.kafka.common.record.ControlRecordType.COMMIT, 5)));
    }

    static Rules randomRules(Random random) {
        Compression[] targets = {
            null, null, null, Compression.NONE, OLD_CODECS[1], OLD_CODECS[2], OLD_CODECS[3], Compression.zstd().build()
        };
        return new Rules(
            random.nextInt(3) == 0 ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            random.nextInt(6) == 0,
            targets[random.nextInt(targets.length)],
            random.nextInt(3) == 0 ? 1_000 : Long.MAX_VALUE,
            random.nextInt(3) == 0 ? 1_000 : Long.MAX_VALUE,
            random.nextInt(25) == 0 ? 40 : 1_000_000);
    }

    static byte[] randomSet(Random random) throws Exception {
        byte magic = (byte) random.nextInt(2);
        boolean plain = random.nextInt(3) == 0;
        List<byte[]> entries = new ArrayList<>();
        int count = plain ? random.nextInt(5) : random.nextInt(12) == 0 ? 2 : 1;
        for (int index = 0; index < count; index++) {
            byte[] entry = random.nextInt(30) == 0
                ? built((byte) 2, OLD_CODECS[random.nextInt(4)], TimestampType.CREATE_TIME, random.nextInt(8) / 7)
                : plain ? randomMessage(random, magic, index) : randomWrapper(random, magic);
            entries.add(random.nextInt(30) == 0 ? flipped(entry, random.nextInt(entry.length)) : entry);
        }
        if (random.nextInt(10) == 0) {
            byte[] last = randomMessage(random, magic, 0);
            entries.add(Arrays.copyOf(last, random.nextInt(last.length)));
        }
        if (random.nextInt(40) == 0)
            entries.add(new byte[random.nextInt(20)]);
        return concat(entries.toArray(new byte[0][]));
    }

    static byte[] randomWrapper(Random random, byte magic) throws Exception {
        List<byte[]> inner = new ArrayList<>();
        int count = random.nextInt(12) == 0 ? 0 : 1 + random.nextInt(4);
        for (int index = 0; index < count; index++) {
            byte[] message = random.nextInt(40) == 0
                ? wrapper(index, magic, 1 + random.nextInt(3), NOW, message(0, magic, 0, NOW, "k", "v"))
                : randomMessage(random, magic, index);
            inner.add(random.nextInt(30) == 0 ? flipped(message, random.nextInt(message.length)) : message);
        }
        if (random.nextInt(12) == 0) {
            byte[] last = randomMessage(random, magic, 0);
            inner.add(Arrays.copyOf(last, random.nextInt(last.length)));
        }
        long offset = new long[] {0, count - 1, 100, 1}[random.nextInt(4)];
        int codec = random.nextInt(30) == 0 ? 4 : 1 + random.nextInt(3);
        int attributes = codec | (random.nextInt(6) == 0 ? 8 : 0);
        return wrapper(offset, magic, attributes, randomTime(random), concat(inner.toArray(new byte[0][])));
    }

    static byte[] randomMessage(Random random, byte magic, long offset) throws Exception {
        byte ownMagic = random.nextInt(30) == 0 ? (byte) random.nextInt(4) : magic;
        int attributes = random.nextInt(10) == 0 ? 8 : random.nextInt(40) == 0 ? random.nextInt(16) : 0;
        String key = random.nextInt(4) == 0 ? null : "k".repeat(random.nextInt(3));
        String value = random.nextInt(4) == 0 ? null : "v".repeat(random.nextInt(9));
        return message(offset, ownMagic, attributes, randomTime(random), key, value);
    }

    static long randomTime(Random random) {
        long[] times = {-1, NOW, NOW, NOW - 10, NOW - 900, NOW, NOW + 900, NOW - 1_000_000, NOW + 1_000_000, 0};
        return random.nextInt(60) == 0 ? -7 : times[random.nextInt(times.length)];
    }

    static byte[] randomBatches(Random random) {
        List<byte[]> batches = new ArrayList<>();
        long offset = random.nextInt(5);
        for (int index = random.nextInt(4); index >= 0; index--) {
            int kind = random.nextInt(20);
            if (kind == 0) {
                batches.add(control(offset++));
                continue;
            }
            Compression codec = kind == 1 ? Compression.zstd().build() : OLD_CODECS[random.nextInt(4)];
            TimestampType type = random.nextBoolean() ? TimestampType.CREATE_TIME : TimestampType.LOG_APPEND_TIME;
            MemoryRecordsBuilder builder =
                MemoryRecords.builder(ByteBuffer.allocate(1024), (byte) 2, codec, type, offset, NOW);
            for (int record = random.nextInt(4); record >= 0; record--) {
                offset += random.nextInt(4) / 3;
                byte[] key = random.nextInt(4) == 0 ? null : "k".repeat(random.nextInt(3)).getBytes();
                byte[] value = random.nextInt(4) == 0 ? null : "v".repeat(random.nextInt(9)).getBytes();
                Header[] headers = random.nextInt(3) > 0 ? new Header[0] : new Header[] {new RecordHeader("h", key)};
                builder.appendWithOffset(offset++, Math.max(-1, randomTime(random)), key, value, headers);
            }
            batches.add(bytes(builder.build()));
        }
        return concat(batches.toArray(new byte[0][]));
    }

    static byte[] message(long offset, byte magic, int attributes, long timestamp, String key, String value) throws Exception {
        byte[] keyBytes = key == null ? null : key.getBytes();
        return sealed(offset, magic, attributes, timestamp, keyBytes, value == null ? null : value.getBytes());
    }

    static byte[] wrapper(long offset, byte magic, int attributes, long timestamp, byte[] inner) throws Exception {
        return sealed(offset, magic, attributes, timestamp, null, compressed(magic, attributes & 7, inner));
    }

    static byte[] compressed(byte magic, int codec, byte[] inner) throws Exception {
        ByteBufferOutputStream out = new ByteBufferOutputStream(inner.length + 64);
        try (var stream = Compression.of(CompressionType.forId(codec)).build().wrapForOutput(out, magic)) {
            stream.write(inner);
        }
        out.buffer().flip();
        return bytes(out.buffer());
    }

    /** A message of any magic, laid out as format 1 where it is not 0. */
    static byte[] sealed(long offset, byte magic, int attributes, long timestamp, byte[] key, byte[] value) throws Exception {
        ByteBufferOutputStream buffer = new ByteBufferOutputStream(64);
        DataOutputStream out = new DataOutputStream(buffer);
        out.writeLong(offset);
        out.writeLong(0);
        out.writeByte(magic);
        out.writeByte(attributes);
        if (magic != 0)
            out.writeLong(timestamp);
        for (byte[] part : Arrays.asList(key, value)) {
            out.writeInt(part == null ? -1 : part.length);
            if (part != null)
                out.write(part);
        }
        buffer.buffer().flip();
        return resealed(bytes(buffer.buffer()));
    }

    /** With size and CRC written again. */
    static byte[] resealed(byte[] message) {
        CRC32 crc = new CRC32();
        crc.update(message, 16, message.length - 16);
        ByteBuffer.wrap(message).putInt(8, message.length - 12).putInt(12, (int) crc.getValue());
        return message;
    }

    static byte[] withLength(byte[] message, int at, int length) {
        ByteBuffer.wrap(message).putInt(at, length);
        return resealed(message);
    }

    static byte[] flipped(byte[] bytes, int at) {
        byte[] copy = bytes.clone();
        copy[at] ^= 1;
        return copy;
    }

    static byte[] concat(byte[]... parts) {
        ByteBuffer all = ByteBuffer.allocate(Arrays.stream(parts).mapToInt(part -> part.length).sum());
        for (byte[] part : parts)
            all.put(part);
        return all.array();
    }

    static byte[] bytes(MemoryRecords records) {
        return bytes(records.buffer().duplicate());
    }

    static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static String hex(byte[] bytes) {
        return bytes.length == 0 ? "-" : HEX.formatHex(bytes);
    }
}
