"""Transactions: one small batch and a commit, over and over, by one producer and by several at once."""

from . import loads

PRODUCERS = [1, 8]
# Apache Kafka's producers wait 20 ms and more for the end of the transaction before, so that more would take minutes.
TRANSACTIONS = 2_000
# Of the second pass, which only warms up what compiles while it runs.
WARM_UP_TRANSACTIONS = 4_000
BATCH_RECORDS = 1


def transactions(bench):
    """Transactions as clients of KIP-890 make them, then those of classic clients; what was committed is read back."""
    broker = bench.broker()
    samples = {}
    for number, label in loads.PASSES.items():
        for producers in PRODUCERS:
            done = _run(bench, broker, f"pass-{number}-of-{producers}", producers, label, samples)
            bench.expect(done["records"], done["requests"] * BATCH_RECORDS, "records committed")
    _run(bench, broker, "classic", 1, "classic", samples, classic=True)
    samples["memory after the transactions, MiB"] = broker.memory_mib()
    return samples


def _run(bench, broker, topic, producers, label, samples, classic=False):
    """One load over a new topic, a partition for each producer, read back with isolation level read_committed."""
    count = bench.scaled(TRANSACTIONS if label else WARM_UP_TRANSACTIONS, multiple_of=producers)
    bench.load(broker, "create", topic=topic, partitions=producers)
    cpu, done = bench.load(
        broker, "transactions", topic=topic, producers=producers, partitions=1, transactions=count, records=BATCH_RECORDS,
        value_bytes=loads.SMALL_VALUE_BYTES, classic=str(classic).lower(),
    )
    _, read = bench.load(broker, "committed", topic=topic, partitions=producers)
    bench.expect(read["records"], done["records"], "committed records read back")
    bench.expect(read["bytes"], done["bytes"], "committed bytes read back")
    if label:
        name = f"transactions of {producers}, {label}"
        samples[f"{name}: CPU ms/transaction"] = cpu / done["requests"] * 1e3
        samples[f"{name}: transactions/s"] = done["requests"] / done["seconds"]
        samples |= loads.percentiles(f"{name}: ack", done["latency_us"])
        samples[f"{name}: tried again, of 1,000"] = done["retries"] / done["requests"] * 1e3
    return done
