#!/usr/bin/env bash
# Runs ../as-version/as_version.py against brokers of its own, from the binary of the harness.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "$BROKER_HOME" ] || [ "$SIDE" != klamm ]; then
    grep -v '^#' "$here/expected.tsv" | cut -f1 | while read -r name; do
        skip "$name" "the checks start brokers of their own, from the binary of the harness"
    done
    exit 0
fi
PYTHONPATH="$COMPAT/lib" python3 "$here/../as-version/as_version.py" clients
