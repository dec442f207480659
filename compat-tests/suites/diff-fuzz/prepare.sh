#!/usr/bin/env bash
# Resolves Apache Kafka, whose jars also hold the message definitions, so that it does not count against the suite's time.
set -euo pipefail
"$COMPAT/peer/classpath" "$(sed -n 's/^kafka.broker=//p' "$COMPAT/versions.lock")" >/dev/null
