"""A group is at an offset only if somebody committed it, and not by a transaction that was aborted."""

import group_offsets


def find(history):
    for read, partition, offset, latest in group_offsets.unexplained(history):
        if latest is None or offset > latest:
            yield f"{read.client} was told that {read.group} is at {partition}:{offset}, which nobody had committed"
