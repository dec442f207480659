#!/usr/bin/env bash
# The class paths of both releases of the tools, and the compiled tests of franz-go.
set -euo pipefail
for name in kafka-clients.3.9 kafka.tools; do
    "$COMPAT/peer/classpath" "$(sed -n "s/^$name=//p" "$COMPAT/versions.lock")" >/dev/null
done
"$COMPAT/suites/franz-go/prepare.sh"
