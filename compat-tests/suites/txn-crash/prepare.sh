#!/usr/bin/env bash
# Compiles the clients for both releases, and makes the virtual environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for release in 4.4 3.9; do
    "$COMPAT/lib/java/prepare" "$release" "$here"/*.java >/dev/null
done
. "$COMPAT/lib/venv.sh"
