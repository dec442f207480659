"""The samples of a run: kept in a file after every workload, read back, and put together with those of other runs.

It knows nothing of tables; report.py prints what is here.
"""

import itertools
import json


class Results:
    """{workload: {metric: {side: [a value for each round]}}}, and what is true of the whole run."""

    def __init__(self, scale):
        self.scale = scale
        # What was measured on, and how busy that was before each run.
        self.machines = []
        self.load_averages = []
        # {side: title}, {side: what it promises of an acknowledged record}.
        self.titles = {}
        self.durability = {}
        self.samples = {}
        # {workload: {side: [the percentage of the CPUs that was stolen in each round]}}; earlier files say nothing of it.
        self.stolen = {}
        self.failures = []

    def add(self, workload, side, values, stolen):
        self.stolen.setdefault(workload, {}).setdefault(side, []).append(stolen)
        for metric, value in values.items():
            self.samples.setdefault(workload, {}).setdefault(metric, {}).setdefault(side, []).append(value)

    def merge(self, other):
        """Add the samples of another run, at the same scale: what both have measured becomes more rounds."""
        if self.scale != other.scale:
            raise SystemExit(f"volumes x {self.scale} and x {other.scale} do not make one table")
        self.machines += other.machines
        self.load_averages += other.load_averages
        self.titles.update(other.titles)
        for side, promise in other.durability.items():
            if self.durability.setdefault(side, promise) != promise:
                raise SystemExit(f"two runs say different things of the durability of {side}")
        for workload, metrics in other.samples.items():
            for metric, sides in metrics.items():
                kept = self.samples.setdefault(workload, {}).setdefault(metric, {})
                for side, values in sides.items():
                    kept.setdefault(side, []).extend(values)
        for workload, sides in other.stolen.items():
            for side, percents in sides.items():
                self.stolen.setdefault(workload, {}).setdefault(side, []).extend(percents)
        self.failures += other.failures

    def leave_out(self, limit_percent):
        """Drop the samples from which the host stole more than that; of a workload and side without another, the best stays.

        Returns what of each was stolen: [(workload, side, percentage)]. Fails where that is not known of every sample.
        """
        for workload, metrics in self.samples.items():
            known = self.stolen.get(workload, {})
            for side, values in (each for sides in metrics.values() for each in sides.items()):
                if len(values) > len(known.get(side, [])):
                    raise SystemExit(f"{workload}, {side}: not every sample says what was stolen from it")
        dropped = []
        for workload, sides in self.stolen.items():
            for side, percents in sides.items():
                limit = max(limit_percent, min(percents))
                stays = [percent <= limit for percent in percents]
                dropped += [(workload, side, percent) for percent in percents if percent > limit]
                sides[side] = list(itertools.compress(percents, stays))
                for values in self.samples.get(workload, {}).values():
                    # A metric that not every round had cannot be told apart.
                    if len(values.get(side, [])) == len(stays):
                        values[side] = list(itertools.compress(values[side], stays))
        return dropped

    def write(self, path):
        """Leave `path` whole at every moment: a run that is ended early keeps what it has measured."""
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(vars(self), indent=1) + "\n")
        part.replace(path)

    @classmethod
    def read(cls, path):
        results = cls(1.0)
        vars(results).update(json.loads(path.read_text()))
        return results
