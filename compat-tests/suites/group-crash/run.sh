#!/usr/bin/env bash
# Kills the broker KILLS times (50; 3 for Apache Kafka, which takes seconds to start) at moments drawn from SEED, and holds
# the committed offsets after each start, and what was processed in the end, against what the members were told.
. "$COMPAT/lib/suite.sh"
. "$COMPAT/lib/venv.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -z "$BROKER_HOME" ]; then
    grep -v '^#' "$here/expected.tsv" | cut -f1 | while read -r name; do
        skip "$name" "only a broker of the harness can be killed"
    done
    exit 0
fi
kills=50
[ "$SIDE" != official ] || kills=3
KILLS="${KILLS:-$kills}" SEED="${SEED:-$RANDOM}" PYTHONPATH="$COMPAT/lib" "$PYTHON" "$here/group_crash.py"
