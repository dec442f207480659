#!/usr/bin/env bash
# Sets quotas with the stock tool, then runs the checks of quotas.py in the virtual environment.
. "$COMPAT/lib/suite.sh"
. "$COMPAT/lib/venv.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

set_quota() { tool "set-$1" kafka-configs "--bootstrap-server $BOOTSTRAP --alter --entity-type clients --entity-name $1 --add-config $2"; }
set_quota slow-producer producer_byte_rate=100000
set_quota slow-consumer consumer_byte_rate=100000
set_quota slow-admin controller_mutation_rate=5
set_quota busy request_percentage=0.001
run_tools
for client in slow-producer slow-consumer slow-admin busy; do
    exits "set.$client" "set-$client" 0
done
PYTHONPATH="$COMPAT/lib" "$PYTHON" "$here/quotas.py"
