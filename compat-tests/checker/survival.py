"""Which values must be there in the end, and are not: what lost_write and unread_write tell apart."""

from history import COMMITTED


def promise(send):
    """Why the value of a send must be there."""
    if not send.acknowledged:
        return "was read"
    return "was committed" if send.transaction else "was acknowledged"


def missing(history):
    """The sends whose values must be there and are not, and for each whether something behind it is."""
    final = history.final_log()
    there = {value for values in final.values() for value in values.values()}
    promised = {read.value for read in history.reads if _is_promise(read, history.sends.get(read.value))}
    places = history.places()
    # What a producer has sent later stands behind.
    followed = {}
    for send in reversed(history.sends.values()):
        way = (send.client, send.partition)
        if send.value in there:
            followed[way] = True
        elif not send.aborted and (send.acknowledged or send.value in promised):
            offsets = [offset for partition, offset in places.get(send.value, ()) if partition == send.partition]
            end = max(final.get(send.partition, {-1: None}))
            yield send, end > max(offsets) if offsets else followed.get(way, False)


def _is_promise(read, send):
    """Whether a value that was read once must stay; one of an open transaction need not."""
    return read.isolation == COMMITTED or (send is not None and send.transaction is None)
