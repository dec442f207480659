#!/usr/bin/env bash
# Every test that needs a broker, with the number of records franz-go's own CI moves.
SUITE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECORDS=50000
ROUNDS="${ROUNDS:-5}"
SECONDS_PER_TEST=540
. "$COMPAT/lib/kgo.sh"
