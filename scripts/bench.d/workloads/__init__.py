"""The workloads: what is done to a fresh broker, and the samples that gives.

A workload is a function of a Bench, which starts brokers and runs the load generator; it returns {metric: value}. One
file for each kind of work; what they share is in loads.py. A workload that is not compared with the newest Kafka has an
attribute `peers`, the names of the sides that it is compared with: `old.peers = ["kafka-3.9"]`.
"""

from . import (
    compacted, groups, idle, latency, offsets, old, partitions, restart, spread, start, stock, sustained, throughput, transactions,
)

WORKLOADS = {
    "start": start.start,
    "produce": throughput.produce,
    "idempotent": throughput.idempotent,
    "large": throughput.large,
    "codecs": throughput.codecs,
    "small": throughput.small,
    "many": throughput.many,
    "pace": latency.pace,
    "commit": offsets.commit,
    "transactions": transactions.transactions,
    "old": old.old,
    "rebalance": groups.rebalance,
    "churn": groups.churn,
    "partitions": partitions.partitions,
    "restart": restart.restart,
    "idle": idle.idle,
    "sustained": sustained.sustained,
    "backlog": sustained.backlog,
    "spread": spread.spread,
    "compacted": compacted.compacted,
    "stock": stock.stock,
}
