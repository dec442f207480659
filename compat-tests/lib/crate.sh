# Sourced by the prepare.sh and run.sh of suites on a crate's own tests, which lie in the crate as it is published.
# Takes CRATE (its name) and SOURCE (a directory in the cache), and what FEATURES its tests want.
version=$(sed -n "s/^${SUITE##*/}=//p" "$COMPAT/versions.lock")

# Copies the crate's sources to $SOURCE: cargo fetches them as a dependency of an empty crate.
copy_crate() {
    local fetch="$SOURCE.fetch" manifest
    rm -rf "$SOURCE" "$fetch"
    mkdir -p "$fetch/src"
    : >"$fetch/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\n[workspace]\n[dependencies]\n%s = "=%s"\n' "$CRATE" "$version" >"$fetch/Cargo.toml"
    manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$fetch/Cargo.toml" | python3 -c '
import json, sys
name, version = sys.argv[1:]
print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if (p["name"], p["version"]) == (name, version)))
' "$CRATE" "$version")
    cp -r "$(dirname "$manifest")" "$SOURCE"
    chmod -R u+w "$SOURCE"
}

# Compiles the tests and leaves their programs in $SOURCE.tests, a name and a path in each line.
build_tests() {
    (cd "$SOURCE" && CARGO_TARGET_DIR="$SOURCE.target" nice -n 10 cargo test --quiet --tests --no-run --message-format=json "$@") | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"]:
        print(message["target"]["name"], message["executable"], sep="\t")
' >"$SOURCE.tests.part"
    mv "$SOURCE.tests.part" "$SOURCE.tests"
}

# Runs each program and says what its tests did: a test is listed as tests.program/path/of/test.
run_tests() {
    local name path
    # With no broker a test may wait for ever, and none must keep another from running.
    THREADS=2
    [ "$SIDE" != nobody ] || THREADS=100 SECONDS_PER_PROGRAM=60
    while IFS=$'\t' read -r name path; do
        (cd "$SOURCE" && timeout --kill-after 5 "$SECONDS_PER_PROGRAM" "$path" --test-threads "$THREADS") >"$WORK/$name" 2>&1 </dev/null || true
        cat "$WORK/$name"
        sed -n 's/^test \([^ ]*\)\( - should panic\)\? \.\.\. \(ok\|FAILED\|ignored\).*$/\3 \1/p' "$WORK/$name" | while read -r verdict test; do
            case $verdict in
                ok) pass "tests.$name/${test//:://}" ;;
                ignored) skip "tests.$name/${test//:://}" "ignored by its authors" ;;
                *) fail "tests.$name/${test//:://}" "$(grep -A 12 -F -e "---- $test stdout" "$WORK/$name" | tail -n +2 | tr -s ' \n' ' ' | cut -c1-400)" ;;
            esac
        done
    done <"$SOURCE.tests"
}
