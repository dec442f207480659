#!/usr/bin/env bash
# Tells the story of story.py to the broker and holds its answers against golden/; with RECORD it writes golden/ anew.
. "$COMPAT/lib/suite.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH="$COMPAT/lib" exec python3 "$here/raw.py"
