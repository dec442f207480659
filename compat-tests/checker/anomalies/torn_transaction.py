"""Of a transaction whose end nobody knows, all values are there in the end or none: a client has all of them acknowledged first."""


def find(history):
    there = {value for values in history.final_log().values() for value in values.values()}
    for transaction in history.transactions:
        if transaction.committed or transaction.aborted:
            continue
        seen = [send.value for send in transaction.sends if send.value in there]
        missing = [send.value for send in transaction.sends if send.value not in there]
        if seen and missing:
            yield f"of a transaction of {transaction.client} {seen[0]} is there, {missing[0]} is not"
