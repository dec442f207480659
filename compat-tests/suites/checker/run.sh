#!/usr/bin/env bash
# Shows that the history checker finds what it should, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH="$COMPAT/lib" exec python3 "$here/planted.py"
