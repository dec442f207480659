#!/usr/bin/env bash
# Runs the calls of `script` in one JVM and holds each answer against golden/; with RECORD it writes golden/ anew.
. "$COMPAT/lib/suite.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python3 "$here/cli.py" expand >"$WORK/script"
run_tools
python3 "$here/cli.py" compare
