"""What a request costs in the broker's user space: instructions, and calls of an allocator by the place they come from.

A fresh broker takes loads of MANY requests and of FEW, in turn; the difference divided by that of the requests is a
request, without start, connection or first use. Of each the least of three counts, because what disturbs a load (a
request that arrives in two parts, a chore) only adds to it. Broker and generator share one core, so the broker has one
worker and threads alternate in the same order. The kernel's part is not counted.
"""

from . import callgrind, requests
from .measure import Measure

MANY = 2_000
# So few that what disturbs them hardly shows in the difference.
FEW = 100
ROUNDS = 3


def measure(run):
    for name, workload in requests.WORKLOADS.items():
        with run.target(callgrind.COMMAND) as target:
            instructions, allocations = _per_request(callgrind.Callgrind(target), target, workload)
        yield Measure(f"{name}: instructions", instructions, compiled=True)
        # Less than a tenth is none: a connection that yields to others allocates for what has come in meanwhile, which
        # is once in a hundred requests on a quiet machine, and a little more often on a busy one.
        yield Measure(f"{name}: allocations", round(sum(allocations.values()), 2), allocations)


def _per_request(counting, target, workload):
    counting.begin()
    workload(target, 0, MANY)()  # What happens once happens here.
    dumps = {MANY: [], FEW: []}
    for number in range(1, 2 * ROUNDS + 1):
        count = MANY if number % 2 else FEW
        dumps[count].append(counting.count(workload(target, number, count)))
    instructions = [min(dump.instructions for dump in dumps[count]) for count in [MANY, FEW]]
    places = [callgrind.least(dump.allocations for dump in dumps[count]) for count in [MANY, FEW]]
    per_request = {place: (count - places[1][place]) / (MANY - FEW) for place, count in places[0].items()}
    return (instructions[0] - instructions[1]) / (MANY - FEW), per_request
