"""Runs the checks of this directory one after another, and ends whatever application one of them left."""

import application
import checks

# Each declares its checks as it is imported.
import copier  # noqa: F401
import streams  # noqa: F401
import verifiable  # noqa: F401

try:
    checks.run_all()
finally:
    application.kill_all()
