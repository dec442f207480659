"""A read_committed consumer, also one in the transaction itself, gets no value before its commit was asked for."""

from history import COMMITTED


def find(history):
    for read in history.reads:
        send = history.sends.get(read.value)
        if not send or not send.transaction or send.aborted or read.isolation != COMMITTED:
            continue
        if read.time < send.transaction.commit_time:
            yield f"{read}, was not to be committed until later by {send.client}"
