"""TransactionalMessageCopier with random aborts: each partition of the sink is the same partition of the source, record by record."""

from application import BOOTSTRAP, Application, crash_broker, first_difference
from checks import check
from topics import Topics, wait_until

PARTITIONS = 3
RECORDS = 6000
TRANSACTION_SIZE = 50
# Copiers may have to be started again, for each kill at most.
LIVES = 10
TOPICS = Topics(BOOTSTRAP)


def records(topic):
    """Numbered records of a topic, as the copier keeps them: with text for keys."""
    return [(number % PARTITIONS, f"key-{number % 7}", f"{topic}:{number}") for number in range(RECORDS)]


def prepare(topic):
    TOPICS.create(f"{topic}-source", f"{topic}-sink", partitions=PARTITIONS)
    TOPICS.write(f"{topic}-source", records(topic))


def copier(topic, name, *options, partition=0):
    """A copier from a topic's source to its sink."""
    arguments = {
        "--broker-list": BOOTSTRAP, "--input-topic": f"{topic}-source", "--output-topic": f"{topic}-sink", "--input-partition": partition,
        "--consumer-group": f"{topic}-group", "--transactional-id": f"{topic}-{name}", "--transaction-size": TRANSACTION_SIZE,
        "--transaction-timeout": 10000,
    }
    flat = [str(part) for pair in arguments.items() for part in pair]
    main = "org.apache.kafka.tools.TransactionalMessageCopier"
    return Application(f"{topic}-{name}", "TOOLS_CLASSPATH", main, *flat, "--enable-random-aborts", *options)


def check_copied(topic):
    """The sink is the source."""
    source, sink = (TOPICS.read(f"{topic}-{end}") for end in ("source", "sink"))
    assert sum(map(len, source)) == RECORDS, f"the source has {sum(map(len, source))} records"
    for partition, (written, copied) in enumerate(zip(source, sink)):
        written, copied = ([(message.key(), message.value()) for message in messages] for messages in (written, copied))
        assert written == copied, f"partition {partition}: {first_difference(written, copied)}"


def wait_copied(topic, part):
    """Wait until this part of the records is copied."""
    wait_until(f"{part} of the records are copied", lambda: TOPICS.count(f"{topic}-sink") >= part * RECORDS)


def run_out(copiers):
    """Wait until all have ended by themselves."""
    for each in copiers:
        each.wait()


def run_out_again(copiers):
    """Wait until all have ended by themselves, and start those again that failed."""
    for each in copiers:
        for _ in range(LIVES):
            try:
                each.wait()
                break
            except AssertionError:
                each.start()
        else:
            raise AssertionError(f"{each.name} failed {LIVES} times")


@check("copier.each-partition")
def each_partition():
    prepare("assigned")
    run_out([copier("assigned", f"copier-{partition}", partition=partition).start() for partition in range(PARTITIONS)])
    check_copied("assigned")


@check("copier.group")
def group():
    prepare("grouped")
    run_out([copier("grouped", f"copier-{number}", "--group-mode", "--use-group-metadata").start() for number in range(2)])
    check_copied("grouped")


@check("copier.killed")
def killed():
    prepare("killed")
    copiers = [copier("killed", f"copier-{number}", "--group-mode", "--use-group-metadata").start() for number in range(2)]
    for victim, part in zip(copiers, (1 / 6, 1 / 3)):
        wait_copied("killed", part)
        victim.kill()
        victim.start()
    run_out_again(copiers)
    check_copied("killed")


@check("copier.broker-killed")
def broker_killed():
    prepare("crashed")
    copiers = [copier("crashed", f"copier-{number}", "--group-mode", "--use-group-metadata").start() for number in range(2)]
    for part in (1 / 6, 1 / 3, 1 / 2):
        wait_copied("crashed", part)
        crash_broker()
    run_out_again(copiers)
    check_copied("crashed")
