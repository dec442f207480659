"""Warms a broker up before a workload that makes no passes of its own.

The JVM compiles what runs often. What is measured after this load is a broker that has served a while, on every side.
"""

from . import loads

TOPIC = "warm-up"
CONNECTIONS = 8
SMALL_REQUESTS = 40_000
BATCH_REQUESTS = 4_000
COMMIT_REQUESTS = 16_000


def warm_up(bench, broker):
    """Small and large produce requests, fetches of both, and offset commits: about 70,000 requests and 300 MB."""
    small = bench.scaled(SMALL_REQUESTS, multiple_of=CONNECTIONS)
    loads.produce(bench, broker, TOPIC, CONNECTIONS, small, 1, loads.SMALL_VALUE_BYTES, idempotent=False)
    bench.load(broker, "consume", topic=TOPIC, partitions=CONNECTIONS, check_crc="false")
    large = bench.scaled(BATCH_REQUESTS)
    loads.produce(bench, broker, f"{TOPIC}-large", 1, large, loads.BATCH_RECORDS, loads.BATCH_VALUE_BYTES, idempotent=True)
    bench.load(broker, "consume", topic=f"{TOPIC}-large", partitions=1, check_crc="false")
    bench.load(
        broker, "commit", topic=TOPIC, connections=CONNECTIONS, in_flight=loads.IN_FLIGHT,
        requests=bench.scaled(COMMIT_REQUESTS, multiple_of=CONNECTIONS),
    )
