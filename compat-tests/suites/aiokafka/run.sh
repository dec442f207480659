#!/usr/bin/env bash
# Runs the scenarios of scenarios.py in the virtual environment.
. "$COMPAT/lib/suite.sh"
. "$COMPAT/lib/venv.sh" aiokafka
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH="$COMPAT/lib" "$PYTHON" "$here/scenarios.py"
