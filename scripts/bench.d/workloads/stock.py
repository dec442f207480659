"""The cross-check with stock clients: Kafka's own performance tools, and kcat on librdkafka.

They cost more CPU than the broker they load, so their rates say more of them than of a broker; the broker's CPU time for
their bytes says whether what our load generator finds holds for others. Rates and latencies are as the tools print them.
kcat prints none; it is timed from outside, with its start.
"""

import re
import subprocess
import time

import sides
import versions

from . import loads, warm

RECORDS = 400_000
RECORD_BYTES = 1024
PACED_RECORDS_PER_SECOND = 1_000
PACED_SECONDS = 10
# Of the paced producer: what it does while its JVM is cold does not count.
PACED_WARM_UP_SECONDS = 5
LIMIT_SECONDS = 600
# The batches of the workload `produce`.
BATCHES = {"acks": "all", "batch.size": 65536, "linger.ms": 5}
PRODUCED = re.compile(
    r"^(\d+)(?: steady state)? records sent, ([\d.]+) records/sec \(([\d.]+) MB/sec\), "
    r"[\d.]+ ms avg latency, ([\d.]+) ms max latency, (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99\.9th", re.MULTILINE,
)


def stock(bench):
    """Records of 1 KiB through kafka-producer-perf-test, kafka-consumer-perf-test and kcat, then 1,000 a second."""
    broker = bench.broker()
    warm.warm_up(bench, broker)
    samples = {}
    count = bench.scaled(RECORDS)
    _java_produce(bench, broker, "java", count, samples)
    _java_consume(bench, broker, "java", count, samples)
    _kcat_produce(bench, broker, "kcat", count, samples)
    _kcat_consume(bench, broker, "kcat", count, samples)
    for topic in ("java", "kcat"):
        _, read = bench.load(broker, "consume", topic=topic, partitions=1, check_crc="true")
        bench.expect(read["records"], count, f"records of {topic} read back")
    _java_paced(bench, broker, "paced", samples)
    return samples


def _java_produce(bench, broker, topic, count, samples):
    bench.load(broker, "create", topic=topic, partitions=1)
    cpu, _, output = _measure(broker, _producer(broker, topic, count, throughput=-1, **BATCHES))
    sent, records, megabytes, *_ = _produced(bench, output)[-1]
    bench.expect(int(sent), count, "records sent by kafka-producer-perf-test")
    name = "kafka-producer-perf-test"
    samples[f"{name}: broker CPU s/GB"] = cpu / (count * RECORD_BYTES) * 1e9
    samples[f"{name}: records/s"] = float(records)
    samples[f"{name}: MiB/s"] = float(megabytes)


def _java_consume(bench, broker, topic, count, samples):
    command = _java("ConsumerPerformance") + ["--bootstrap-server", broker.address, "--topic", topic, "--num-records", str(count)]
    cpu, _, output = _measure(broker, [*command, "--hide-header"])
    # Start, end, MiB, MiB/s, records, records/s; then the milliseconds of the rebalance and of the fetches, and their rates.
    fields = output.strip().splitlines()[-1].split(", ")
    bench.expect(int(fields[4]), count, "records read by kafka-consumer-perf-test")
    name = "kafka-consumer-perf-test"
    samples[f"{name}: broker CPU s/GB"] = cpu / (count * RECORD_BYTES) * 1e9
    samples[f"{name}: records/s"] = float(fields[9])
    samples[f"{name}: MiB/s"] = float(fields[8])


def _java_paced(bench, broker, topic, samples):
    bench.load(broker, "create", topic=topic, partitions=1)
    warm_up = PACED_RECORDS_PER_SECOND * PACED_WARM_UP_SECONDS
    count = warm_up + bench.scaled(PACED_RECORDS_PER_SECOND * PACED_SECONDS)
    command = _producer(broker, topic, count, PACED_RECORDS_PER_SECOND, acks="all", **{"linger.ms": 0})
    cpu, _, output = _measure(broker, [*command, "--warmup-records", str(warm_up)])
    everything, steady = _produced(bench, output)[-2:]
    bench.expect(int(everything[0]), count, "records sent by kafka-producer-perf-test")
    name = f"kafka-producer-perf-test, {PACED_RECORDS_PER_SECOND:,} records/s"
    samples[f"{name}: broker CPU us/record"] = cpu / count * 1e6
    for quantile, value in zip(["max", "p50", "p95", "p99", "p99.9"], steady[3:]):
        samples[f"{name}: {quantile}, ms"] = float(value)


def _kcat_produce(bench, broker, topic, count, samples):
    bench.load(broker, "create", topic=topic, partitions=1)
    lines = bench.home / "records"
    with open(lines, "wb") as file:
        for number in range(count):
            file.write(b"%0*d\n" % (RECORD_BYTES, number))
    command = ["kcat", "-P", "-b", broker.address, "-t", topic, "-p", "0", "-l", str(lines)]
    for key, value in BATCHES.items():
        command += ["-X", f"{key}={value}"]
    cpu, seconds, _ = _measure(broker, command)
    lines.unlink()
    samples["kcat -P: broker CPU s/GB"] = cpu / (count * RECORD_BYTES) * 1e9
    samples["kcat -P: records/s"] = count / seconds


def _kcat_consume(bench, broker, topic, count, samples):
    command = ["kcat", "-C", "-b", broker.address, "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-f", "."]
    cpu, seconds, output = _measure(broker, command)
    bench.expect(len(output), count, "records read by kcat")
    samples["kcat -C: broker CPU s/GB"] = cpu / (count * RECORD_BYTES) * 1e9
    samples["kcat -C: records/s"] = count / seconds


def _measure(broker, command):
    """Run a client to its end; return the broker's CPU seconds meanwhile, the wall seconds, and what it wrote."""
    cpu, began = broker.cpu_seconds(), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with code {done.returncode}: {done.stderr.strip()[-500:]}, see {broker.log}")
    return broker.cpu_seconds() - cpu, seconds, done.stdout


def _produced(bench, output):
    """The totals that the producer prints: of all records, and of the steady state if it was asked for."""
    found = PRODUCED.findall(output)
    bench.expect(bool(found), True, f"totals of kafka-producer-perf-test in: {output[-500:]}")
    return found


def _producer(broker, topic, count, throughput, **settings):
    command = _java("ProducerPerformance") + ["--bootstrap-server", broker.address, "--topic", topic, "--num-records", str(count)]
    command += ["--record-size", str(RECORD_BYTES), "--throughput", str(throughput), "--command-property"]
    return command + [f"{key}={value}" for key, value in settings.items()]


def _java(tool):
    """A tool of Kafka's as its script in a distribution starts it."""
    return sides.java(versions.load()["kafka.tools"], f"org.apache.kafka.tools.{tool}")
