"""Runs the checks of this directory one after another, and ends whatever broker one of them left."""

import checks
import own

# Each declares its checks as it is imported.
import starting  # noqa: F401
import disk  # noqa: F401
import connections  # noqa: F401
import frames  # noqa: F401
import offsets  # noqa: F401

try:
    checks.run_all()
finally:
    own.kill_all()
