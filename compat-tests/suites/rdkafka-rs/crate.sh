# Sourced by prepare.sh and run.sh.
SUITE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CRATE=rdkafka
. "$COMPAT/lib/crate.sh"
SOURCE="$CACHE/rdkafka-rs-$version"
