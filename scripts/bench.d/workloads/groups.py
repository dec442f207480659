"""Consumer groups: how soon many members settle."""

CHURN_MEMBERS = 500
CHURN_SECONDS = 20


def churn(bench):
    """One group whose members join all at once, then leave and crash at random, and then settle."""
    broker = bench.broker()
    members = bench.scaled(CHURN_MEMBERS)
    cpu, done = bench.load(broker, "churn", members=members, seconds=CHURN_SECONDS)
    return {
        f"{members} members join: s": done["join_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: settled after s": done["settle_seconds"],
        f"{members} members, {CHURN_SECONDS} s of churn: CPU s": cpu,
        f"{members} members, {CHURN_SECONDS} s of churn: rebalances": done["generations"],
    }
