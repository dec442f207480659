#!/usr/bin/env bash
# Runs the checks of faults.py against brokers of their own. The mounts and processes they make live in namespaces that end
# with them, however they end.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "$BROKER_HOME" ] || [ "$SIDE" != klamm ]; then
    grep -v '^#' "$here/expected.tsv" | cut -f1 | while read -r name; do
        skip "$name" "the checks start brokers of their own, from the binary of the harness"
    done
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "becoming an unprivileged user take root" >&2
    exit 1
fi
PYTHONPATH="$COMPAT/lib" unshare --mount --pid --fork --kill-child --mount-proc python3 "$here/faults.py"
