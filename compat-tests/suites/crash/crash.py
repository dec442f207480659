"""Kills the broker again and again while clients run, and then holds what is there against what was acknowledged."""

import os
import random
import time

import broker as brokers
import checks
from checks import check
from killing import kill_and_restart
from metadata import MetadataClients
from records import Producers

KILLS = int(os.environ["KILLS"])
SEED = int(os.environ["SEED"])
BOOTSTRAP = os.environ["BOOTSTRAP"]


def main():
    print(f"seed {SEED}, {KILLS} kills; run it again with SEED={SEED} KILLS={KILLS}", flush=True)
    chance = random.Random(SEED)
    broker = brokers.Broker(os.environ["BROKER_HOME"])
    producers = Producers(BOOTSTRAP)
    metadata = MetadataClients(BOOTSTRAP, random.Random(SEED + 1))
    workers = [producers, metadata]
    for worker in workers:
        worker.start()
    kills = 0
    try:
        while kills < KILLS:
            kills += kill_and_restart(broker, chance)
        time.sleep(1.0)
    finally:
        for worker in workers:
            worker.stop()
    print(f"{kills} kills, {len(producers.acked)} records and {metadata.acked} metadata changes acknowledged", flush=True)
    declare(producers, metadata)
    checks.run_all()


def declare(producers, metadata):
    """The checks, over what the clients were told."""
    stored = []

    @check("records.all-settled")
    def all_settled():
        assert len(producers.acked) >= 10 * KILLS, f"only {len(producers.acked)} records were acknowledged"
        assert not producers.failed, f"a producer was told {producers.failed[0]}, and {len(producers.failed) - 1} more errors"
        assert producers.unsettled == 0, f"{producers.unsettled} records have no answer"

    @check("records.none-lost")
    def none_lost():
        stored.extend(producers.read_all())
        places = {record: place for record, place in stored}
        lost = [record for record in producers.acked if record not in places]
        assert not lost, f"{len(lost)} acknowledged records are not there, the first is {lost[0]}"
        moved = [record for record, place in producers.acked.items() if places[record] != place]
        assert not moved, f"{len(moved)} records are not where it was said, the first is {moved[0]}"

    @check("records.none-twice")
    def none_twice():
        twice = len(stored) - len({record for record, _ in stored})
        assert stored and twice == 0, f"of {len(stored)} records read {twice} came twice"

    @check("records.in-order")
    def in_order():
        last = {}
        for (producer, number), (partition, offset) in stored:
            before = last.get((producer, partition), -1)
            assert number > before, f"record {number} of producer {producer} is behind {before} in partition {partition}, offset {offset}"
            last[producer, partition] = number
        assert last, "no records were read"

    @check("metadata.all-settled")
    def metadata_settled():
        assert metadata.acked >= KILLS, f"only {metadata.acked} changes were acknowledged"
        assert not metadata.wrong, f"an answer was wrong: {metadata.wrong[0]}"

    @check("metadata.created-are-there")
    def created():
        metadata.check_created()

    @check("metadata.deleted-are-gone")
    def deleted():
        metadata.check_deleted()

    @check("metadata.configs-are-kept")
    def configs():
        metadata.check_configs()


if __name__ == "__main__":
    main()
