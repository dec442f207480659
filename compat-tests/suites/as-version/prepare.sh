#!/usr/bin/env bash
set -euo pipefail
"$COMPAT/peer/classpath" "$(sed -n 's/^kafka-clients.3.9=//p' "$COMPAT/versions.lock")" >/dev/null
