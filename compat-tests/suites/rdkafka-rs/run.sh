#!/usr/bin/env bash
# Runs all tests of the crate.
. "$COMPAT/lib/suite.sh"
. "$(dirname "${BASH_SOURCE[0]}")/crate.sh"
SECONDS_PER_PROGRAM=300
export KAFKA_HOST="$BOOTSTRAP" KAFKA_VERSION=4.1.0
run_tests
