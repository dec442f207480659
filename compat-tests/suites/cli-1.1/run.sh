#!/usr/bin/env bash
# Runs the calls of `script` in one JVM and holds each answer against golden/; with RECORD it writes golden/ anew.
. "$COMPAT/lib/suite.sh"

tool_differential "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)" 1.1
