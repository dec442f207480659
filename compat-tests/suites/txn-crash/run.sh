#!/usr/bin/env bash
# Kills the broker KILLS times (20) at moments drawn from SEED, while transactions of two releases of the Java client run, and
# has the history of all clients checked. Apache Kafka is not killed: a single node that is missed for a while is no leader of
# its own partitions, takes them for deleted, skips the markers they should get, and leaves transactions open for good.
. "$COMPAT/lib/suite.sh"
. "$COMPAT/lib/venv.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -z "$BROKER_HOME" ]; then
    grep -v '^#' "$here/expected.tsv" | cut -f1 | while read -r name; do
        skip "$name" "only a broker of the harness can be killed"
    done
    exit 0
fi
kills=20
[ "$SIDE" != official ] || kills=0
for release in 4.4 3.9; do
    directory=$("$COMPAT/lib/java/prepare" "$release" "$here"/*.java)
    export "CLASSPATH_${release/./_}=$directory:$(cat "$directory/classpath")"
done
KILLS="${KILLS:-$kills}" SEED="${SEED:-$RANDOM}" PYTHONPATH="$COMPAT/lib:$COMPAT/checker" "$PYTHON" "$here/txn_crash.py"
