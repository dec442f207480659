#!/usr/bin/env bash
# Makes the virtual environment, and resolves the class paths of MirrorMaker and of the broker at the other end.
set -euo pipefail
. "$COMPAT/lib/venv.sh"
pinned() { sed -n "s/^$1=//p" "$lock"; }
"$COMPAT/peer/classpath" "$(pinned kafka.tools)" mirror >/dev/null
"$COMPAT/peer/classpath" "$(pinned kafka.broker)" >/dev/null
