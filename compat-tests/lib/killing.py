"""Broker deaths at random moments."""

import time

# Some kills come while the broker starts, so that recovery too is interrupted.
KILL_WHILE_STARTING = 0.2


def kill_and_restart(broker, chance):
    """One round: let the broker serve for a while, kill it, and start it, perhaps not at the first try; return the kills."""
    time.sleep(chance.uniform(0.05, 2.0))
    broker.kill()
    kills = 1
    while chance.random() < KILL_WHILE_STARTING:
        broker.launch_process()
        time.sleep(chance.uniform(0.0, 0.2))
        broker.kill()
        kills += 1
    broker.start()
    return kills
