#!/usr/bin/env bash
# The checks are in Python; the broker is killed only if it is the harness's own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$COMPAT/lib/venv.sh"
MIRROR_CLASSPATH=$("$COMPAT/peer/classpath" "$(sed -n 's/^kafka.tools=//p' "$lock")" mirror)
export MIRROR_CLASSPATH
PYTHONPATH="$COMPAT/lib" exec "$PYTHON" "$here/mirror.py"
