#!/usr/bin/env bash
# Makes the virtual environment.
set -euo pipefail
. "$COMPAT/lib/venv.sh"
