#!/usr/bin/env bash
# Runs the tests of expected.tsv; JOBS processes at a time, for most of them wait. Another suite that runs the same
# runner in another scenario calls this file with SUITE and SCENARIO.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SUITE="${SUITE:-$here}" SCENARIO="${SCENARIO:-default}" JOBS="${JOBS:-3}"
# Some tests call the stock tools by their script names, and build Java classes against the stock client.
export KAFKA_PATH="$WORK/kafka"
mkdir -p "$KAFKA_PATH/bin" "$KAFKA_PATH/libs"
ln -s "$COMPAT/peer/shim" "$KAFKA_PATH/bin/kafka-topics.sh"
ln -s "$here/kafka-run-class.sh" "$KAFKA_PATH/bin/kafka-run-class.sh"
tools=$("$COMPAT/peer/classpath" "$(sed -n 's/^kafka.tools=//p' "$COMPAT/versions.lock")")
ln -s "$(tr : '\n' <<<"$tools" | grep -m 1 '/kafka-clients-[0-9.]*\.jar$')" "$KAFKA_PATH/libs/"
PYTHONPATH="$COMPAT/lib" exec python3 "$here/runner.py"
