"""A value that was acknowledged, or that somebody has read, is not there in the end, though what came after it is."""

import survival


def find(history):
    for send, passed in survival.missing(history):
        if passed:
            yield f"{send.value} of {send.client} in {send.partition}, {survival.promise(send)}, but later values are there and it is not"
