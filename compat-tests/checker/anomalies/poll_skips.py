"""What a poll gives begins at the consumer's position, and leaves out no value that is there in the end."""

import bisect


def find(history):
    final = history.final_log()
    log = {partition: sorted(values) for partition, values in final.items()}
    for stretch in history.stretches:
        positions = {partition: offset for partition, offset in stretch.positions.items() if offset is not None}
        for read in stretch.reads:
            offsets = log.get(read.partition, [])
            first = bisect.bisect_left(offsets, positions.get(read.partition, read.offset))
            skipped = offsets[first : bisect.bisect_left(offsets, read.offset)]
            if skipped:
                yield f"{read}, comes next, but {final[read.partition][skipped[0]]} is at {skipped[0]}"
            positions[read.partition] = read.offset + 1
