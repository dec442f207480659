#!/usr/bin/env bash
# Runs all tests of the crate; without TEST_INTEGRATION they would pass and do nothing.
. "$COMPAT/lib/suite.sh"
. "$(dirname "${BASH_SOURCE[0]}")/crate.sh"
SECONDS_PER_PROGRAM=300
export TEST_INTEGRATION=1 TEST_BROKER_IMPL=kafka KAFKA_CONNECT="$BOOTSTRAP"
run_tests
