# Sourced by the run.sh of a suite. The environment comes from `run`: BOOTSTRAP, BROKER_HOME (empty when the broker is not
# ours), CACHE, COMPAT, SIDE (klamm or official), WORK (an empty directory to write in).
set -euo pipefail

pass() { echo "PASS $1"; }
fail() { echo "FAIL $1: $2"; }
skip() { echo "SKIP $1: $2"; }

# pinned NAME: the version of versions.lock.
pinned() { sed -n "s/^$1=//p" "$COMPAT/versions.lock"; }

# check NAME COMMAND...: passes if the command succeeds; its output is the reason if not.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$name"
    else
        fail "$name" "$* said: $(tail -n 3 <<<"$output" | tr '\n' ' ')"
    fi
}

# same NAME EXPECTED ACTUAL: passes if both files hold the same bytes; the first difference is the reason if not.
same() {
    if cmp -s "$2" "$3"; then
        pass "$1"
    else
        fail "$1" "$(cmp "$2" "$3" 2>&1 | head -n 1) ($(wc -l <"$2") and $(wc -l <"$3") lines)"
    fi
}

# A script of stock tool calls: each `tool` adds one, `run_tools` runs them in one JVM and leaves
# $WORK/tools/NAME.out, .err and .exit. In the arguments quotes group words, as in a shell. The tools are the newest, or those
# of the RELEASE named, such as 2.8.
tool() {
    local line="$1"$'\t'"$2"$'\t'"$3"
    [ $# -lt 4 ] || line+=$'\t'"$4"
    echo "$line" >>"$WORK/script"
}

run_tools() {
    "$COMPAT/peer/run-tools" "$(pinned "kafka.tools${1:+.$1}")" "$WORK/tools" 30 <"$WORK/script"
    rm "$WORK/script"
}

# tool_differential DIRECTORY [RELEASE]: runs the calls of DIRECTORY/script and holds each answer against DIRECTORY/golden, or
# with RECORD writes that anew (lib/tool_calls.py).
tool_differential() {
    python3 "$COMPAT/lib/tool_calls.py" expand "$1" >"$WORK/script"
    run_tools "${2:-}"
    python3 "$COMPAT/lib/tool_calls.py" compare "$1"
}

# exits NAME CALL CODE: passes if the tool call ended with the code; what it said is the reason if not.
exits() {
    local code
    code=$(cat "$WORK/tools/$2.exit" 2>/dev/null || echo none)
    if [ "$code" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "$2 exited with $code, not $3: $(cat "$WORK/tools/$2.out" "$WORK/tools/$2.err" | tr '\n' ' ' | cut -c1-400)"
    fi
}
