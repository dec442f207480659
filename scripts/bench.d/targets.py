"""What Klamm promises of each metric: bounds of its own, and ratios to Apache Kafka in the same run.

A metric is looked up by its name in the table; one that no pattern matches has no target.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Target:
    """Bounds for the medians of the metrics that match `pattern` whole."""

    pattern: str
    at_most: float | None = None
    # Klamm's median divided by Kafka's.
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None

    def bounds(self, ours, ratio):
        """Each bound as text and whether it holds; `ratio` is None when there is nothing to compare with."""
        if self.at_most is not None:
            yield f"<= {self.at_most:.3g}", ours <= self.at_most
        if self.ratio_at_most is not None and ratio is not None:
            yield f"<= {self.ratio_at_most:g} of Kafka", ratio <= self.ratio_at_most
        if self.ratio_at_least is not None and ratio is not None:
            yield f">= {self.ratio_at_least:g} x Kafka", ratio >= self.ratio_at_least


MIB = 1024 * 1024
MB = 1_000_000

TARGETS = [
    # Batches of 64 KiB, idempotent or not, compressed by the client or not: the same for each byte on the wire.
    Target(r"(produce |idempotent |lz4 |zstd )64 KiB.*: CPU s/GB", at_most=0.60),
    Target(r"consume.*: CPU s/GB", at_most=0.25),
    Target(r"small produce.*: CPU us/request", at_most=14),
    Target(r"offset commit.*: CPU us/commit", at_most=15),
    Target(r"1,000 messages/s.*: CPU us/message", at_most=120),
    Target(r"1,000 messages/s.*: ack p50, us", at_most=90),
    Target(r"1,000 messages/s.*: ack p99, us", at_most=200),
    Target(r"1,000 messages/s.*: ack p99\.9, us", at_most=800),
    Target(r"transactions of 1,.*: CPU ms/transaction", at_most=0.20),
    Target(r"transactions of 8,.*: CPU ms/transaction", at_most=0.12),
    Target(r"transactions of 1,.*: transactions/s", ratio_at_least=3),
    Target(r"transactions of 8,.*: transactions/s", ratio_at_least=5),
    Target(r"create 10,000 partitions: s until usable", at_most=1),
    Target(r"create 10,000 partitions: memory growth, MiB", at_most=10 * MB / MIB),
    Target(r"restart with them: s until all are named", at_most=0.5),
    Target(r"start to first answer, ms", at_most=25),
    Target(r"start CPU, ms", at_most=15),
    Target(r"restart with 10\.0 GB, after a clean stop: ms until served", at_most=100),
    Target(r"restart with 10\.0 GB, after kill -9: ms until served", at_most=1_500),
    Target(r"memory after start, MiB", at_most=10 * MB / MIB),
    Target(r"memory after the commits, MiB", at_most=25 * MB / MIB),
    Target(r"memory after this load, MiB", at_most=40 * MB / MIB),
    Target(r"idle CPU, % of a core", at_most=0),
    Target(r"idle context switches/s", at_most=0),
    Target(r"idle, .* connections, .* partitions: CPU, % of a core", at_most=0.1),
    # A warm Kafka is its third pass. Every percentile of a latency is below Kafka's at the same rate.
    Target(r".*3rd pass: CPU (s|us|ms)/.*", ratio_at_most=0.25),
    Target(r".*: (ack |consumed )?p(50|99|99\.9), (us|ms)", ratio_at_most=1),
]


def cell(metric, ours, ratio):
    """The targets of a metric as the table shows them: the bounds, and `missed` behind each that does not hold."""
    bounds = [bound for target in TARGETS if re.fullmatch(target.pattern, metric) for bound in target.bounds(ours, ratio)]
    return "; ".join(text if holds else f"{text} MISSED" for text, holds in bounds) or "-"
