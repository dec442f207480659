"""A producer whose transactional id another one has taken commits nothing that it asks for after that."""


def find(history):
    owners = {}
    for owner in history.owners:
        owners.setdefault(owner.transactional_id, []).append(owner)
    own = {owner.client: owner for owner in history.owners}
    for transaction in history.transactions:
        mine = own.get(transaction.client)
        if not mine or not transaction.committed:
            continue
        for other in owners[mine.transactional_id]:
            # Only one that began to ask when this one already had the id is surely the later owner.
            if other.since > mine.time and other.time < transaction.commit_time:
                yield f"{transaction.client} commits with {mine.transactional_id}, which {other.client} has taken from it"
                break
