"""What an idempotent producer sends is stored once, however often the client had to try."""


def find(history):
    for value, places in history.places().items():
        if len(places) > 1:
            yield f"{value} is at {' and '.join(f'{partition}:{offset}' for partition, offset in sorted(places))}"
