"""A value that was acknowledged, or that somebody has read, is behind everything that could be read in the end."""

import survival


def find(history):
    for send, passed in survival.missing(history):
        if not passed:
            yield f"{send.value} of {send.client} in {send.partition}, {survival.promise(send)}, but the partition could not be read so far"
