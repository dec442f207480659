"""Prints the table of a run: a column for each side, the ratios, the targets. As a command, of several runs in one.

    report.py [--undisturbed PERCENT] FILE...

Workloads that were compared with an earlier Kafka have a table of their own. What misses its target is marked.
"""

import argparse
import pathlib
import statistics

import sides
import table
import targets
from results import Results
from workloads import WORKLOADS

# A load average above this disturbs wall times.
QUIET = 0.5
# More of the CPUs' time than this, stolen by the host during a sample, disturbs even CPU time: caches are cold afterwards.
DISTURBED_PERCENT = 5


def show(results, undisturbed):
    """Print what the figures were measured on, then the tables, then what failed.

    With `undisturbed`, a percentage, of the samples from which the host stole no more CPU time than that.
    """
    every = sum(len(percents) for sides_of in results.stolen.values() for percents in sides_of.values())
    dropped = [] if undisturbed is None else results.leave_out(undisturbed)
    print("; ".join(dict.fromkeys(results.machines)), _noise(results))
    rounds = [len(values) for metrics in results.samples.values() for sides_of in metrics.values() for values in sides_of.values()]
    scale = "" if results.scale == 1 else f", volumes x {results.scale:g}"
    print(f"rounds: {_range(rounds)}{scale}; what was produced is read back, counted, and its CRCs are checked")
    if undisturbed is not None:
        print(f"samples left out, as the host stole more than {undisturbed:g} % of the CPU time: {len(dropped)} of {every}")
    _show_stolen(results)
    for promise in dict.fromkeys(results.durability.values()):
        who = ", ".join(results.titles[side] for side, said in results.durability.items() if said == promise)
        print(f"acks=all, one replica; {promise}: {who}")
    groups = {}
    for _, metrics in _ordered(results):
        for metric, values in metrics.items():
            groups.setdefault(_kafka(values) or sides.NEWEST, {})[metric] = values
    for metrics in groups.values():
        print()
        _show_group(results, metrics)
    for failure in results.failures:
        print(f"\nFAILED: {failure}")


def _noise(results):
    busiest = max(results.load_averages, default=0)
    return f"(busy: load {busiest:.1f} before a run; trust ratios and CPU, not times)" if busiest > QUIET else ""


def _show_stolen(results):
    """What the machine's host took away, of the samples that know it: all of them, then each that lost much."""
    every = [percent for sides_of in results.stolen.values() for percents in sides_of.values() for percent in percents]
    if not every:
        return
    disturbed = [
        f"{workload}, {results.titles[side]}, {percent:.0f} %"
        for workload, sides_of in results.stolen.items()
        for side, percents in sides_of.items()
        for percent in percents
        if percent > DISTURBED_PERCENT
    ]
    print(f"CPU time stolen by the host: median {statistics.median(every):.1f} %; more than {DISTURBED_PERCENT} %:", "; ".join(disturbed) or "never")


def _range(values):
    least, most = min(values, default=0), max(values, default=0)
    return f"{least}" if least == most else f"{least}-{most}"


def _ordered(results):
    """The workloads in their order, whichever was measured first; one that is known no more comes last."""
    order = list(WORKLOADS)
    return sorted(results.samples.items(), key=lambda each: order.index(each[0]) if each[0] in order else len(order))


def _kafka(values):
    """The release of Apache Kafka among the sides of a metric."""
    return next((side for side in values if side.startswith(sides.NEWEST)), None)


def _show_group(results, metrics):
    names = sorted({name for values in metrics.values() for name in values}, key=sides.column)
    kafka = next((_kafka(values) for values in metrics.values() if _kafka(values)), None)
    divisors = {f"Klamm / {title}": name for name, title in ((kafka, "Kafka"), (sides.Floor.name, "floor")) if name in names}
    rows = [["median (least-greatest)", *(results.titles[name] for name in names), *divisors, "target"]]
    for metric, values in metrics.items():
        ratios = {name: _ratio(values, name) for name in divisors.values()}
        ours = values.get("klamm")
        target = targets.cell(metric, statistics.median(ours), ratios.get(kafka)) if ours else "-"
        rows.append([metric, *(_cell(values.get(name)) for name in names), *map(_ratio_text, ratios.values()), target])
    table.show(rows)


def _ratio(values, name):
    """Klamm's median divided by that of a side; None without one of them, or when it would divide by nothing."""
    if "klamm" not in values or name not in values or not statistics.median(values[name]):
        return None
    return statistics.median(values["klamm"]) / statistics.median(values[name])


def _ratio_text(ratio):
    return "-" if ratio is None else f"{ratio:.3f}"


def _number(value):
    """Three digits that mean something, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _cell(values):
    """The median and, in brackets, the least and the greatest value."""
    if not values:
        return "-"
    text = _number(statistics.median(values))
    return f"{text} ({_number(min(values))}-{_number(max(values))})" if len(values) > 1 else text


def main():
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__)
    parser.add_argument("--undisturbed", type=float)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    first, *others = map(Results.read, arguments.files)
    for other in others:
        first.merge(other)
    show(first, arguments.undisturbed)


if __name__ == "__main__":
    main()
