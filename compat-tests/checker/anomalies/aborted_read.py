"""A read_committed consumer never gets a value of a transaction that was aborted."""

from history import COMMITTED


def find(history):
    for read in history.reads:
        send = history.sends.get(read.value)
        if send and send.aborted and read.isolation == COMMITTED:
            yield f"{read}, is of an aborted transaction of {send.client}"
