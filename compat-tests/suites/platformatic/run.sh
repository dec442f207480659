#!/usr/bin/env bash
# Runs the scenarios of scenarios.js on the pinned client.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules="$CACHE/platformatic-kafka-$(pinned platformatic-kafka)/node_modules"
NODE_PATH="$modules" "$modules/.bin/node" --no-warnings "$here/scenarios.js"
