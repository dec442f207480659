"""The anomalies a history may show, one file each: its docstring is the rule that was broken, `find` yields the cases."""

import importlib
import pathlib

NAMES = sorted(path.stem.replace("_", "-") for path in pathlib.Path(__file__).parent.glob("[a-z]*.py"))


def find_all(history):
    """The cases of each anomaly: {name: [what was seen]}."""
    return {name: list(_module(name).find(history)) for name in NAMES}


def _module(name):
    return importlib.import_module(f"anomalies.{name.replace('-', '_')}")
