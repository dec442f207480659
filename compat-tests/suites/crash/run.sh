#!/usr/bin/env bash
# Kills the broker KILLS times (50; 3 for Apache Kafka, which takes seconds to start) at moments drawn from SEED, and
# then checks that all that was acknowledged is there, once and in order.
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
KILLS="${KILLS:-$kills}" SEED="${SEED:-$RANDOM}" PYTHONPATH="$COMPAT/lib" "$PYTHON" "$here/crash.py"
