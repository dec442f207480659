#!/usr/bin/env bash
# Sends Debian's word list and licence texts through kafka-console-producer with each codec, reads them back, kills the
# broker with SIGKILL, starts it on the same directory, and reads them again; the stock dump tool must find every batch valid.
. "$COMPAT/lib/suite.sh"

codecs="none gzip snappy lz4 zstd"
text="$WORK/text"
# Numbered, so that no two lines are the same.
number() { awk -v name="$1" '{print name ":" NR ": " $0}'; }
{
    number words </usr/share/dict/american-english
    for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do
        cat /usr/share/common-licenses/* | number "licences $round"
    done
} >"$text"
lines=$(wc -l <"$text")
if [ "$lines" -ge 200000 ]; then pass input.200000-lines; else fail input.200000-lines "only $lines lines"; fi

consume_all() {
    for codec in $codecs; do
        tool "$1-$codec" kafka-console-consumer "--bootstrap-server $BOOTSTRAP --topic text-$codec --partition 0 \
--offset earliest --max-messages $lines --timeout-ms 20000"
    done
    run_tools
    for codec in $codecs; do
        same "codec.$codec$2" "$text" "$WORK/tools/$1-$codec.out"
        rm -f "$WORK/tools/$1-$codec.out"
    done
}

for codec in $codecs; do
    tool "create-$codec" kafka-topics "--bootstrap-server $BOOTSTRAP --create --topic text-$codec --config segment.bytes=4194304"
    tool "produce-$codec" kafka-console-producer "--bootstrap-server $BOOTSTRAP --topic text-$codec --compression-codec $codec" "$text"
done
consume_all read ""

if [ -z "$BROKER_HOME" ]; then
    for codec in $codecs; do
        skip "codec.$codec-after-kill" "only a broker of the harness can be killed"
        skip "dump.$codec" "reads the broker's files, which --bootstrap does not give"
    done
    exit 0
fi

python3 "$COMPAT/lib/broker.py" kill "$BROKER_HOME"
python3 "$COMPAT/lib/broker.py" start "$BROKER_HOME"
for codec in $codecs; do
    directory="$BROKER_HOME/data/text-$codec-0"
    # The indexes of the last segment may still be open for appends; those before it are complete.
    mapfile -t logs < <(ls "$directory"/*.log)
    mapfile -t indexes < <(ls "$directory"/*.index "$directory"/*.timeindex)
    tool "dump-log-$codec" kafka-dump-log "--files $(IFS=,; echo "${logs[*]}")"
    tool "dump-index-$codec" kafka-dump-log "--verify-index-only --files $(IFS=,; echo "${indexes[*]}")"
done
consume_all again -after-kill
for codec in $codecs; do
    counted=$(sed -nE 's/^baseOffset: .* count: ([0-9]+) .* isvalid: true$/\1/p' "$WORK/tools/dump-log-$codec.out" | awk '{sum += $1} END {print sum + 0}')
    if [ "$counted" != "$lines" ]; then
        fail "dump.$codec" "kafka-dump-log found $counted valid records of $lines"
    elif grep -qE 'Mismatch|Found|Error|out of order' "$WORK/tools/dump-index-$codec.out" "$WORK/tools/dump-index-$codec.err"; then
        fail "dump.$codec" "$(cat "$WORK/tools/dump-index-$codec.out" "$WORK/tools/dump-index-$codec.err" | grep -v Dumping | head -3 | tr '\n' ' ')"
    else
        pass "dump.$codec"
    fi
done
rm "$text"
