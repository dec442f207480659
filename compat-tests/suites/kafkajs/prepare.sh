#!/usr/bin/env bash
# Installs the pinned client into the cache.
set -euo pipefail
version=$(sed -n 's/^kafkajs=//p' "$COMPAT/versions.lock")
directory="$CACHE/kafkajs-$version"
if [ ! -e "$directory/ready" ]; then
    mkdir -p "$directory"
    npm install --silent --no-audit --no-fund --prefix "$directory" "kafkajs@$version"
    touch "$directory/ready"
fi
