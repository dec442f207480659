"""For suites written in Python: each check is a function, run in the order of the file, that passes if it does not raise."""

import sys
import time
import traceback

CHECKS = []


class Skip(Exception):
    """A check that cannot run here raises this, with the reason."""


def check(name):
    """Declare a function as the test `name`."""

    def register(function):
        CHECKS.append((name, function))
        return function

    return register


def equal(actual, expected, what):
    """Raise if a value is not the expected one."""
    assert actual == expected, f"{what} is {actual!r}, not {expected!r}"


def run_all():
    """Run every check and print its verdict; a check that fails does not stop the next."""
    for name, function in CHECKS:
        run(name, function)


def run(name, function):
    """Run one check and print its verdict, in whole lines for those who run several at once."""
    started = time.monotonic()
    try:
        function()
        print(f"PASS {name}\n", end="", flush=True)
    except Skip as reason:
        print(f"SKIP {name}: {reason}\n", end="", flush=True)
    except Exception as error:  # a check may fail in any way, and each is a verdict
        print(f"FAIL {name}: {' '.join(f'{type(error).__name__}: {error}'.split())}\n", end="", flush=True)
        traceback.print_exc(file=sys.stdout)
    print(f"    {name} took {time.monotonic() - started:.1f} s\n", end="", flush=True)
