#!/usr/bin/env bash
# Installs the pinned client into the cache, and the Node it asks for: Debian's is older.
set -euo pipefail
pinned() { sed -n "s/^$1=//p" "$COMPAT/versions.lock"; }
version=$(pinned platformatic-kafka)
directory="$CACHE/platformatic-kafka-$version"
if [ ! -e "$directory/ready" ]; then
    mkdir -p "$directory"
    npm install --silent --no-audit --no-fund --prefix "$directory" "@platformatic/kafka@$version" "node@$(pinned node)"
    touch "$directory/ready"
fi
