#!/usr/bin/env bash
# Starts an Apache Kafka beside the broker of the harness, sends both the same requests, and prints how their answers differ.
. "$COMPAT/lib/suite.sh"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHONPATH="$COMPAT/lib" exec python3 "$here/fuzz.py"
