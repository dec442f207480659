#!/usr/bin/env bash
# Compiles the tests that lie in the crate, with the librdkafka it brings.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/crate.sh"
if [ ! -e "$SOURCE.tests" ]; then
    copy_crate
    build_tests --locked
fi
