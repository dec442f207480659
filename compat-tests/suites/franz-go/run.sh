#!/usr/bin/env bash
# Runs the tests one process each, for a violated invariant panics and ends the process.
. "$COMPAT/lib/suite.sh"
copy="$CACHE/franz-go-$(pinned franz-go)"
cd "$copy/source/pkg/kgo"
for test in TestClient_Produce TestClient_ProduceLargeMessages; do
    output="$WORK/$test"
    KGO_SEEDS="$BOOTSTRAP" KGO_TEST_RF=1 KGO_TEST_RECORDS=50000 KGO_LOG_LEVEL=none \
        "$copy/kgo.test" -test.v -test.timeout 50s -test.run "^$test\$" >"$output" 2>&1 || true
    cat "$output"
    check "produce.$test" grep -q -- "^--- PASS: $test " "$output"
done
