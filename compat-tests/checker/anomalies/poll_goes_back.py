"""The offsets of a partition ascend within a poll, and from poll to poll while the consumer's positions are not changed."""


def find(history):
    for stretch in history.stretches:
        last = {}
        for read in stretch.reads:
            before = last.get(read.partition)
            if before is not None and read.offset <= before:
                yield f"{read}, comes after offset {before}"
            last[read.partition] = read.offset
