"""The workloads: what is done to a fresh broker, and the samples that gives.

A workload is a function of a Bench, which starts brokers and runs the load generator; it returns {metric: value}. The
JVM compiles while it runs, so loads make three passes over topics of their own: the first is what users of short-lived
brokers pay, the third comes after about 2 GB or a hundred thousand requests.
"""

import time

SETTLE_SECONDS = 2
IDLE_SECONDS = 3
PASSES = {1: "1st pass", 2: None, 3: "3rd pass"}
# 1 KiB values in batches of the size at which a client with batch.size=65536 closes them.
BATCH_RECORDS = 63
BATCH_VALUE_BYTES = 1024
BATCH_REQUESTS = 15_500  # about 1 GB
SMALL_VALUE_BYTES = 100
SMALL_CONNECTIONS = 8
SMALL_REQUESTS = 50_000
COMMIT_CONNECTIONS = 8
COMMIT_REQUESTS = 40_000
CHURN_MEMBERS = 500
CHURN_SECONDS = 20
# max.in.flight.requests.per.connection of the stock clients.
IN_FLIGHT = 5


def start(bench):
    """Cold start in an empty directory, then an idle broker."""
    broker = bench.broker()
    samples = {"start to first answer, ms": broker.start_ms, "start CPU, ms": broker.start_cpu_ms}
    time.sleep(SETTLE_SECONDS)
    cpu, switches, began = broker.cpu_seconds(), broker.context_switches(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    samples["idle CPU, % of a core"] = (broker.cpu_seconds() - cpu) / seconds * 100
    later = broker.context_switches()
    samples["idle context switches/s"] = sum(count - switches.get(thread, 0) for thread, count in later.items()) / seconds
    samples["memory after start, MiB"] = broker.memory_mib()
    return samples


def produce(bench):
    """1 KiB records in 64 KiB batches on one connection, each pass consumed after it was produced."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in PASSES.items():
        topic = f"pass-{number}"
        passes[topic] = _produce_batches(bench, broker, topic, "produce 64 KiB", label, samples, idempotent=False)
        cpu, done = bench.load(broker, "consume", topic=topic, partitions=1, check_crc="false")
        bench.expect(done["records"], passes[topic]["records"], "records consumed")
        if label:
            samples[f"consume, {label}: CPU s/GB"] = cpu / done["bytes"] * 1e9
            samples[f"consume, {label}: MB/s"] = done["bytes"] / done["seconds"] / 1e6
    samples["memory after this load, MiB"] = broker.memory_mib()
    _read_back(bench, broker, passes, partitions=1)
    return samples


def idempotent(bench):
    """The same batches from an idempotent producer, which is what stock clients are by default."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in PASSES.items():
        topic = f"pass-{number}"
        passes[topic] = _produce_batches(bench, broker, topic, "idempotent 64 KiB", label, samples, idempotent=True)
    _read_back(bench, broker, passes, partitions=1)
    return samples


def small(bench):
    """One record of 100 B in each request, a partition per connection."""
    broker = bench.broker()
    samples = {}
    passes = {}
    for number, label in PASSES.items():
        topic = f"pass-{number}"
        cpu, done = _produce(
            bench, broker, topic, connections=SMALL_CONNECTIONS, requests=bench.scaled(SMALL_REQUESTS, multiple_of=SMALL_CONNECTIONS),
            records=1, value_bytes=SMALL_VALUE_BYTES, idempotent=False,
        )
        passes[topic] = done
        if label:
            samples[f"small produce, {label}: CPU us/request"] = cpu / done["requests"] * 1e6
            samples[f"small produce, {label}: requests/s"] = done["requests"] / done["seconds"]
    _read_back(bench, broker, passes, partitions=SMALL_CONNECTIONS)
    return samples


def commit(bench):
    """One offset in each OffsetCommit, a group and a partition per connection; the last commit is fetched."""
    broker = bench.broker()
    samples = {}
    for number, label in PASSES.items():
        topic = f"pass-{number}"
        bench.load(broker, "create", topic=topic, partitions=COMMIT_CONNECTIONS)
        cpu, done = bench.load(
            broker, "commit", topic=topic, connections=COMMIT_CONNECTIONS, in_flight=IN_FLIGHT,
            requests=bench.scaled(COMMIT_REQUESTS, multiple_of=COMMIT_CONNECTIONS),
        )
        if label:
            samples[f"offset commit, {label}: CPU us/commit"] = cpu / done["requests"] * 1e6
            samples[f"offset commit, {label}: commits/s"] = done["requests"] / done["seconds"]
    samples["memory after the commits, MiB"] = broker.memory_mib()
    return samples


def churn(bench):
    """One group whose members join all at once, then leave and crash at random, and then settle."""
    broker = bench.broker()
    members = bench.scaled(CHURN_MEMBERS)
    cpu, done = bench.load(broker, "churn", members=members, seconds=CHURN_SECONDS)
    return {
        f"{members} members join: s": done["join_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: settled after s": done["settle_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: CPU s": cpu,
        f"{members} members, {CHURN_SECONDS} s of churn: rebalances": done["generations"],
    }


WORKLOADS = {"start": start, "produce": produce, "idempotent": idempotent, "small": small, "commit": commit, "churn": churn}


def _produce_batches(bench, broker, topic, name, label, samples, idempotent):
    cpu, done = _produce(
        bench, broker, topic, connections=1, requests=bench.scaled(BATCH_REQUESTS), records=BATCH_RECORDS,
        value_bytes=BATCH_VALUE_BYTES, idempotent=idempotent,
    )
    if label:
        samples[f"{name}, {label}: CPU s/GB"] = cpu / done["bytes"] * 1e9
        samples[f"{name}, {label}: MB/s"] = done["bytes"] / done["seconds"] / 1e6
    return done


def _produce(bench, broker, topic, connections, requests, records, value_bytes, idempotent):
    """Produce to a new topic; return the broker's CPU seconds and what was acknowledged."""
    bench.load(broker, "create", topic=topic, partitions=connections)
    return bench.load(
        broker, "produce", topic=topic, connections=connections, in_flight=IN_FLIGHT, requests=requests, records=records,
        value_bytes=value_bytes, idempotent=str(idempotent).lower(),
    )


def _read_back(bench, broker, passes, partitions):
    """Check that what was acknowledged is there: every offset once, each batch with its CRC, the same number of bytes."""
    for topic, produced in passes.items():
        _, read = bench.load(broker, "consume", topic=topic, partitions=partitions, check_crc="true")
        bench.expect(read["records"], produced["records"], "records read back")
        bench.expect(read["bytes"], produced["bytes"], "bytes read back")
