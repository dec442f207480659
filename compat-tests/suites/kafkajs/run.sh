#!/usr/bin/env bash
# Runs the scenarios of scenarios.js on the pinned client.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NODE_PATH="$CACHE/kafkajs-$(pinned kafkajs)/node_modules" node "$here/scenarios.js"
