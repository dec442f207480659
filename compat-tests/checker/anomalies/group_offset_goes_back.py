"""The committed offset of a group ascends within a generation, and the broker forgets none that it has acknowledged."""

import group_offsets


def find(history):
    yield from _commits(history)
    for read, partition, offset, latest in group_offsets.unexplained(history):
        if latest is not None and offset < latest:
            yield f"{read.client} was told that {read.group} is at {partition}:{offset}, but {latest} was committed"


def _commits(history):
    """In a generation a partition has one owner, who goes on from where it is."""
    committed = [commit for commit in history.offset_commits if commit.committed_time is not None]
    last = {}
    for commit in sorted(committed, key=lambda commit: commit.asked_time):
        for partition, offset in commit.offsets.items():
            place = (commit.group, commit.generation, partition)
            if offset < last.get(place, offset):
                yield f"{commit.client} moved {commit.group} at {partition} from {last[place]} to {offset} in generation {commit.generation}"
            last[place] = offset
