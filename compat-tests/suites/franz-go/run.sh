#!/usr/bin/env bash
# Few tests with few records; the suite franz-go-full runs them all.
SUITE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RECORDS=5000
ROUNDS=1
SECONDS_PER_TEST=60
. "$COMPAT/lib/kgo.sh"
