#!/usr/bin/env bash
# Runs diff-fuzz with the versions that the newest Apache Kafka does not serve, against the last release that does.
. "$COMPAT/lib/suite.sh"
export RELEASE=3.9 CASES=${CASES:-80}
PYTHONPATH="$COMPAT/lib" exec python3 "$COMPAT/suites/diff-fuzz/fuzz.py"
