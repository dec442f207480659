#!/usr/bin/env bash
# Makes the virtual environment.
set -euo pipefail
extras='[snappy,lz4,zstd]'
. "$COMPAT/lib/venv.sh" aiokafka
