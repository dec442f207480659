#!/usr/bin/env bash
# Compiles the tests that lie in the crate.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/crate.sh"
if [ ! -e "$SOURCE.tests" ]; then
    copy_crate
    # The toolchain of this machine will do, and the workspace's fuzz targets are not published with the crate.
    rm -f "$SOURCE/rust-toolchain.toml"
    (cd "$SOURCE" && cargo update --quiet -p rsasl)
    build_tests --features full
fi
