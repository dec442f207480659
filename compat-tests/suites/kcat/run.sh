#!/usr/bin/env bash
# kcat: metadata, produce with each codec, consume by partition, offset and timestamp, offset queries, headers, tombstones,
# idempotence, a record too large, groups, and a broker that is killed under it.
. "$COMPAT/lib/suite.sh"

kc() { timeout 30 kcat -b "$BOOTSTRAP" -X broker.address.family=v4 "$@" 2>>"$WORK/kcat.log"; }
produce() { kc -P -t "$1" -p 0 "${@:2}"; }
consume() { kc -C -t "$1" -p 0 -e -q -X fetch.wait.max.ms=50 "${@:2}"; }
# answers NAME EXPECTED COMMAND...: passes if the command prints exactly the expected lines.
answers() {
    printf '%s\n' "$2" >"$WORK/$1.expected"
    "${@:3}" >"$WORK/$1.actual" || true
    same "$1" "$WORK/$1.expected" "$WORK/$1.actual"
}
# what GREP COMMAND...: the lines of the command's answer that match.
what() { "${@:2}" | grep -oE "$1"; }

seq -f 'line %g of the kcat suite' 500 >"$WORK/lines"

for codec in none gzip snappy lz4 zstd; do
    produce "codec-$codec" -z "$codec" -l "$WORK/lines" || true
    consume "codec-$codec" -o beginning -X check.crcs=true >"$WORK/read-$codec" || true
    same "codec.$codec" "$WORK/lines" "$WORK/read-$codec"
done
for acks in 0 1 all; do
    produce "acks-$acks" -X acks="$acks" -l "$WORK/lines" || true
    consume "acks-$acks" -o beginning >"$WORK/read-acks-$acks" || true
    same "acks.$acks" "$WORK/lines" "$WORK/read-acks-$acks"
done
produce idempotent -X enable.idempotence=true -X batch.num.messages=10 -l "$WORK/lines" || true
consume idempotent -o beginning >"$WORK/read-idempotent" || true
same produce.idempotent "$WORK/lines" "$WORK/read-idempotent"

answers metadata.broker "broker 1 at $BOOTSTRAP (controller)" what 'broker 1 at .*' kc -L
answers metadata.topic 'topic "codec-none" with 2 partitions:
partition 0, leader 1, replicas: 1, isrs: 1
partition 1, leader 1, replicas: 1, isrs: 1' what '(topic "codec-none"|partition ).*' kc -L -t codec-none

answers consume.from-offset "$(sed -n '101,103p' "$WORK/lines")" consume codec-none -o 100 -c 3
answers consume.from-offset-inside-batch "$(sed -n '101,103p' "$WORK/lines")" consume codec-zstd -o 100 -c 3
answers consume.from-end "$(tail -n 2 "$WORK/lines")" consume codec-none -o -2
answers consume.beyond-end 'caught' bash -c "timeout 30 kcat -b $BOOTSTRAP -C -t codec-none -p 0 -e -o 100000 -X auto.offset.reset=error 2>&1 | grep -q 'Offset out of range' && echo caught"

# Three records, each with a timestamp of its own that the client read from its clock.
stamps=()
for word in first second third; do
    echo "$word" | produce timed || true
    sleep 0.05
done
mapfile -t stamps < <(consume timed -o beginning -f '%T\n')
answers seek.by-time $'second\nthird' consume timed -o "s@${stamps[1]:-0}"
answers consume.between-timestamps second consume timed -o "s@${stamps[1]:-0}" -o "e@${stamps[2]:-0}"
answers offsets.query-timestamp 'timed [0] offset 1' kc -Q -t "timed:0:${stamps[1]:-0}"
answers offsets.query-between 'timed [0] offset 1' kc -Q -t "timed:0:$((${stamps[0]:-0} + 1))"
answers offsets.query-latest 'timed [0] offset 3' kc -Q -t timed:0:-1
answers offsets.query-earliest 'timed [0] offset 0' kc -Q -t timed:0:-2
answers offsets.query-future 'timed [0] offset -1' kc -Q -t timed:0:9999999999999

echo value | produce headers -k key -H a=1 -H b=2 -H a=3 || true
answers headers.duplicate-keys 'key a=1,b=2,a=3 value' consume headers -o beginning -f '%k %h %s\n'
printf 'k1:v1\nk2:\n:v3\n' | produce tombstones -K: -Z || true
answers records.tombstones $'2 k1 2 v1\n2 k2 -1 \n-1  2 v3' consume tombstones -o beginning -f '%K %k %S %s\n'

head -c 1000000 /dev/zero | tr '\0' x >"$WORK/large"
produce large -X message.max.bytes=4000000 "$WORK/large" || true
answers large-message.accepted 1000000 consume large -o beginning -f '%S\n'
head -c 2000000 /dev/zero | tr '\0' x >"$WORK/too-large"
produce large -X message.max.bytes=4000000 "$WORK/too-large" || true
answers large-message.refused 'Delivery failed for message: Broker: Message size too large' what 'Delivery failed.*' tail -n 1 "$WORK/kcat.log"

# Groups. kcat -G commits what it has printed when it ends.
member=(timeout 60 kcat -b "$BOOTSTRAP" -X broker.address.family=v4 -X auto.offset.reset=earliest
    -X heartbeat.interval.ms=200 -X fetch.wait.max.ms=50 -G)
# eventually COMMAND...: waits until the command succeeds.
eventually() {
    local turn
    for turn in $(seq 300); do
        if "$@"; then return; fi
        sleep 0.1
    done
    echo "not after $turn turns: $*"
    return 1
}
# settled FILE PARTITION...: whether the last rebalance that kcat wrote of gave it exactly these partitions of the topic shared.
settled() {
    local file=$1 wanted
    shift
    wanted=$(printf ', shared [%s]' "$@")
    [ "$(grep 'assigned' "$file" | tail -n 1 | sed 's/.*assigned: //')" = "${wanted#, }" ]
}

produce committed -l "$WORK/lines" || true
answers commit.first-member "$(head -n 100 "$WORK/lines")" "${member[@]}" committers -c 100 -q committed
answers commit.resume "$(sed -n '101,200p' "$WORK/lines")" "${member[@]}" committers -c 100 -q committed

produce shared -l "$WORK/lines" || true
"${member[@]}" sharing shared >/dev/null 2>"$WORK/first" &
first=$!
check rebalance.lone-member eventually settled "$WORK/first" 0 1
"${member[@]}" sharing shared >/dev/null 2>"$WORK/second" &
second=$!
both_settled() { { settled "$WORK/first" 0 && settled "$WORK/second" 1; } || { settled "$WORK/first" 1 && settled "$WORK/second" 0; }; }
check rebalance.member-joins eventually both_settled
kill "$second"
wait "$second" || true
check rebalance.member-leaves eventually settled "$WORK/first" 0 1
kill "$first"
wait "$first" || true

# Transactions. kcat commits one when its input ends, and aborts it when it is told to end before. It hands on what it
# reads in large blocks, so the input of the aborted one is long, and how much of it was written is not known.
seq 0 9 | produce transacted -X transactional.id=transactor || true
mkfifo "$WORK/feed"
kcat -b "$BOOTSTRAP" -X broker.address.family=v4 -P -t transacted -p 0 -X transactional.id=transactor <"$WORK/feed" 2>>"$WORK/kcat.log" &
aborting=$!
exec 9>"$WORK/feed"
for _ in $(seq 50000); do echo aborted; done >&9
consume_written() { consume transacted -o beginning -X isolation.level=read_uncommitted; }
some_written() { [ "$(consume_written | grep -c aborted)" -gt 0 ]; }
check transactions.aborted-records-are-stored eventually some_written
kill "$aborting"
exec 9>&-
wait "$aborting" || true
seq 10 19 | produce transacted -X transactional.id=transactor || true
answers transactions.commit-and-abort "$(seq 0 19)" consume transacted -o beginning -X isolation.level=read_committed

# A producer and a consumer that live through a crash of the broker.
if [ -z "$BROKER_HOME" ]; then
    skip reconnect.after-kill "only a broker of the harness can be killed"
else
    echo 0 | produce survived || true
    timeout 90 kcat -E -b "$BOOTSTRAP" -X broker.address.family=v4 -X reconnect.backoff.max.ms=500 -C -t survived -p 0 -o beginning -c 100 -q >"$WORK/survived" &
    consumer=$!
    {
        seq 1 50
        sleep 1
        python3 "$COMPAT/lib/broker.py" kill "$BROKER_HOME" >&2
        python3 "$COMPAT/lib/broker.py" start "$BROKER_HOME" >&2
        seq 51 99
    } | timeout 90 kcat -E -b "$BOOTSTRAP" -X broker.address.family=v4 -X reconnect.backoff.max.ms=500 -P -t survived -p 0 || true
    wait "$consumer" || true
    seq 0 99 >"$WORK/survived.expected"
    same reconnect.after-kill "$WORK/survived.expected" "$WORK/survived"
fi
