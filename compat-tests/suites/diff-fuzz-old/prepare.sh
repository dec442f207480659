#!/usr/bin/env bash
# Resolves both releases of Apache Kafka, whose jars also hold the message definitions, so that it does not count against the suite's time.
set -euo pipefail
for name in kafka.broker kafka.broker.3.9; do
    "$COMPAT/peer/classpath" "$(sed -n "s/^$name=//p" "$COMPAT/versions.lock")" >/dev/null
done
