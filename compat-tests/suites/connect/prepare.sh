#!/usr/bin/env bash
# Resolves the class path of Connect.
set -euo pipefail
"$COMPAT/peer/classpath" "$(sed -n 's/^kafka.tools=//p' "$COMPAT/versions.lock")" connect >/dev/null
