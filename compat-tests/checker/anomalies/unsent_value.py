"""Nobody can read what nobody has sent, nor find it in another partition."""


def find(history):
    for read in history.reads:
        send = history.sends.get(read.value)
        if not send:
            yield f"{read}, was never sent"
        elif send.partition != read.partition:
            yield f"{read}, was sent to {send.partition}"
