#!/usr/bin/env bash
# The checks are in Python; the broker is killed only if it is the harness's own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLASSPATH=$("$COMPAT/peer/classpath" "$(sed -n 's/^kafka.tools=//p' "$COMPAT/versions.lock")" connect)
export CLASSPATH
PYTHONPATH="$COMPAT/lib" exec python3 "$here/connect.py"
