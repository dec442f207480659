#!/usr/bin/env bash
# Runs the checks of metrics.py where the broker is Klamm and its log tells where the HTTP listener is.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "$BROKER_HOME" ] || [ "$SIDE" != klamm ]; then
    while IFS=$'\t' read -r name _; do
        [[ "$name" == \#* ]] || skip "$name" "the broker's HTTP listener is not known"
    done <"$here/expected.tsv"
    exit
fi
PYTHONPATH="$COMPAT/lib" python3 "$here/metrics.py"
