"""Which committed offsets the broker told of cannot be: what group_offset_goes_back and unasked_group_offset tell apart."""

NONE = -1


def unexplained(history):
    """(the read, its partition, the offset, the offset committed last before it or None) for each that no commit explains."""
    commits = {}
    for commit in history.offset_commits:
        for partition, offset in commit.offsets.items():
            if commit.asked_time is not None:
                commits.setdefault((commit.group, partition), []).append((commit, offset))
    for read in history.offset_reads:
        for partition, offset in read.offsets.items():
            # A commit that was asked for after the answer explains nothing.
            possible = [(commit, at) for commit, at in commits.get((read.group, partition), []) if commit.asked_time < read.time]
            settled = [(commit, at) for commit, at in possible if _done_before(commit, read.since)]
            latest = max(settled, key=lambda pair: pair[0].asked_time, default=None)
            if not _explained(offset, possible, latest):
                yield read, partition, offset, latest and latest[1]


def _explained(offset, possible, latest):
    """Whether the offset is of a commit that another one does not surely replace."""
    if offset == NONE:
        return latest is None
    return any(at == offset and not (latest and _done_before(commit, latest[0].asked_time)) for commit, at in possible)


def _done_before(commit, time):
    return commit.committed_time is not None and commit.committed_time < time
