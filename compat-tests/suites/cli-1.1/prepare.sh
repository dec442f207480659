#!/usr/bin/env bash
# Resolves the tools and builds the runner, so that neither counts against the suite's time.
set -euo pipefail
"$COMPAT/peer/run-tools" "$(sed -n 's/^kafka.tools.1.1=//p' "$COMPAT/versions.lock")" "$WORK/tools" </dev/null
