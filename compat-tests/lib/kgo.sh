# Sourced by the suites on franz-go: runs those of its tests (package kgo) that the suite's expected.tsv does not call
# na:, one process each, for a violated invariant panics and ends the process. A test passes if it passes in each round;
# a part of a test (TestGroupETL/range) is listed and judged like a test, so that a part that skips itself is seen.
# Takes SUITE (the suite's directory), RECORDS (how many records a test moves), ROUNDS and SECONDS_PER_TEST.
. "$COMPAT/lib/suite.sh"
copy="$CACHE/franz-go-$(pinned franz-go)"
cd "$copy/source/pkg/kgo"

column=2
[ "$SIDE" != official ] || column=3
# A test is listed as scenario.test.
mapfile -t tests < <(awk -F'\t' -v c=$column '!/^#/ { promise = $(c <= NF ? c : 2); if (promise !~ /^na:/) print $1 }' "$SUITE/expected.tsv")

for round in $(seq "$ROUNDS"); do
    for test in $(printf '%s\n' "${tests[@]#*.}" | cut -d/ -f1 | sort -u); do
        echo "round $round, $test"
        KGO_SEEDS="$BOOTSTRAP" KGO_TEST_RF=1 KGO_TEST_RECORDS="$RECORDS" KGO_LOG_LEVEL=none \
            "$copy/kgo.test" -test.v -test.timeout "${SECONDS_PER_TEST}s" -test.run "^$test\$" >"$WORK/$test.$round" 2>&1 || true
        cat "$WORK/$test.$round"
    done
done

for test in "${tests[@]}"; do
    name=${test#*.}
    wrong=
    for round in $(seq "$ROUNDS"); do
        output="$WORK/${name%%/*}.$round"
        if [ -z "$wrong" ] && ! grep -q -- "^ *--- PASS: $name " "$output"; then
            wrong="round $round of $ROUNDS: $(grep -m 3 -e "--- [A-Z]*: $name " -e '_test.go:' -e '^panic:' "$output" | tr -s ' \n' ' ' | cut -c1-400)"
        fi
    done
    if [ -z "$wrong" ]; then pass "$test"; else fail "$test" "$wrong"; fi
done
