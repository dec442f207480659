"""An offset of a partition has one value, whoever is told of it and whenever."""


def find(history):
    values = {}
    for value, places in history.places().items():
        for place in places:
            values.setdefault(place, []).append(value)
    for (partition, offset), found in values.items():
        if len(found) > 1:
            yield f"{partition}:{offset} has {' and '.join(sorted(found))}"
