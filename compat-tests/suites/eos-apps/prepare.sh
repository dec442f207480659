#!/usr/bin/env bash
# Makes the virtual environment, resolves the class paths, and compiles Tallies.java; prints the class path of Streams.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$COMPAT/lib/venv.sh"
tools=$(sed -n 's/^kafka.tools=//p' "$lock")
"$COMPAT/peer/classpath" "$tools" >/dev/null
classpath=$("$COMPAT/peer/classpath" "$tools" streams)
classes="$CACHE/tallies-$(cat "$here/Tallies.java" "$lock" | sha256sum | cut -c1-12)"
if [ ! -e "$classes/ready" ]; then
    mkdir -p "$classes"
    javac -cp "$classpath" -d "$classes" "$here/Tallies.java" >&2
    touch "$classes/ready"
fi
echo "$classes:$classpath"
