"""What one producer sends to one partition is stored in the order of its sends."""


def find(history):
    places = history.places()
    last = {}
    for send in history.sends.values():
        offsets = [offset for partition, offset in places.get(send.value, ()) if partition == send.partition]
        # A value at two offsets is an anomaly of its own.
        if len(offsets) != 1:
            continue
        way = (send.client, send.partition)
        before = last.get(way)
        if before and offsets[0] < before[0]:
            yield f"{send.value} of {send.client} is at {send.partition}:{offsets[0]}, {before[1]}, sent before it, at {before[0]}"
        last[way] = (offsets[0], send.value)
