#!/usr/bin/env bash
# Lines through kafka-console-producer, read back by kafka-console-consumer --partition: codecs, acks, keys, headers,
# tombstones, where reading starts and stops, and a record too large for the topic.
. "$COMPAT/lib/suite.sh"

lines=300
seq -f 'line %g of the console suite' $lines >"$WORK/lines"
to="--bootstrap-server $BOOTSTRAP --topic"
# A short fetch wait, for the consumer lets its last fetch end before it closes; the others keep the default.
all="--partition 0 --offset earliest --timeout-ms 20000 --command-property fetch.max.wait.ms=50"

create() { tool "create-$1" kafka-topics "--create $to $1 --partitions ${2:-1} --replication-factor 1"; }
produce() { tool "produce-$1" kafka-console-producer "$to $1 $2" "$3"; }
consume() { tool "consume-$1" kafka-console-consumer "$to $2 $3"; }

for codec in none gzip snappy lz4 zstd; do
    create "codec-$codec"
    produce "codec-$codec" "--compression-codec $codec" "$WORK/lines"
    consume "codec-$codec" "codec-$codec" "$all --max-messages $lines"
done
for acks in 0 1 all; do
    create "acks-$acks"
    produce "acks-$acks" "--request-required-acks $acks" "$WORK/lines"
    consume "acks-$acks" "acks-$acks" "$all --max-messages $lines"
done

printf '%s\n' 'k1:v1' 'k2:v2' 'k3:NULL' ':empty key' 'k1:' >"$WORK/keyed"
printf '%s\n' 'k1|v1' 'k2|v2' 'k3|null' '|empty key' 'k1|' >"$WORK/keyed.expected"
create keyed
produce keyed "--reader-property parse.key=true --reader-property key.separator=: --reader-property null.marker=NULL" "$WORK/keyed"
consume keyed keyed "$all --max-messages 5 --formatter-property print.key=true --formatter-property key.separator=|"

printf 'a:1,b:2,a:3\tk\tvalue\ne:\tk2\tother\n' >"$WORK/headers"
printf 'Partition:0\tOffset:0\ta:1,b:2,a:3\tk\tvalue\nPartition:0\tOffset:1\te:\tk2\tother\n' >"$WORK/headers.expected"
create headers
produce headers "--reader-property parse.key=true --reader-property parse.headers=true" "$WORK/headers"
consume headers headers "$all --max-messages 2 --formatter-property print.headers=true --formatter-property print.key=true \
--formatter-property print.partition=true --formatter-property print.offset=true"

create spread 3
seq $lines | sed 's/.*/key&:value &/' >"$WORK/spread"
seq -f 'value %g' $lines | sort >"$WORK/spread.expected"
produce spread "--reader-property parse.key=true --reader-property key.separator=:" "$WORK/spread"
for partition in 0 1 2; do
    consume "spread-$partition" spread "--partition $partition --offset earliest --timeout-ms 1500"
done

sed -n '101,110p' "$WORK/lines" >"$WORK/from-offset.expected"
consume from-offset codec-none "--partition 0 --offset 100 --max-messages 10 --timeout-ms 20000"
consume from-offset-compressed codec-zstd "--partition 0 --offset 100 --max-messages 10 --timeout-ms 20000"
consume latest codec-none "--partition 0 --offset latest --timeout-ms 1000"
tool offsets-latest kafka-get-offsets "$to codec-none"
consume committed codec-none "$all --max-messages $lines --isolation-level read_committed"
consume unknown-topic no-such-topic "--partition 0 --offset earliest --timeout-ms 1500 --command-property allow.auto.create.topics=false"

head -c 1000000 /dev/zero | tr '\0' x >"$WORK/large"
echo >>"$WORK/large"
head -c 2000000 /dev/zero | tr '\0' x >"$WORK/too-large"
create large
produce large "--command-property max.request.size=4000000" "$WORK/large"
tool produce-too-large kafka-console-producer "$to large --command-property max.request.size=4000000" "$WORK/too-large"
consume large large "$all --max-messages 1"
tool offsets-large kafka-get-offsets "$to large"

produce auto-created "" "$WORK/lines"
consume auto-created auto-created "$all --max-messages $lines"

run_tools

out() { echo "$WORK/tools/consume-$1.out"; }
for codec in none gzip snappy lz4 zstd; do same "codec.$codec" "$WORK/lines" "$(out "codec-$codec")"; done
for acks in 0 1 all; do same "acks.$acks" "$WORK/lines" "$(out "acks-$acks")"; done
same records.keys-and-tombstones "$WORK/keyed.expected" "$(out keyed)"
same records.headers "$WORK/headers.expected" "$(out headers)"
cat "$(out spread-0)" "$(out spread-1)" "$(out spread-2)" | sort >"$WORK/spread.read"
same consume.three-partitions "$WORK/spread.expected" "$WORK/spread.read"
same consume.from-offset "$WORK/from-offset.expected" "$(out from-offset)"
same consume.from-offset-inside-batch "$WORK/from-offset.expected" "$(out from-offset-compressed)"
echo "codec-none:0:$lines" >"$WORK/latest.expected"
cat "$(out latest)" "$WORK/tools/offsets-latest.out" >"$WORK/latest.read"
same consume.from-latest "$WORK/latest.expected" "$WORK/latest.read"
same consume.read-committed "$WORK/lines" "$(out committed)"
check consume.unknown-topic grep -q no-such-topic=UNKNOWN_TOPIC_OR_PARTITION "$WORK/tools/consume-unknown-topic.err"
same large-message.accepted "$WORK/large" "$(out large)"
check large-message.refused grep -q RecordTooLargeException "$WORK/tools/produce-too-large.err"
echo large:0:1 >"$WORK/large.expected"
same large-message.left-nothing "$WORK/large.expected" "$WORK/tools/offsets-large.out"
same produce.auto-created-topic "$WORK/lines" "$(out auto-created)"
