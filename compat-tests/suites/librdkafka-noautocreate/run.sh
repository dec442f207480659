#!/usr/bin/env bash
# The runner of the suite librdkafka in the scenario noautocreate.
export SUITE SCENARIO=noautocreate
SUITE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$COMPAT/suites/librdkafka/run.sh"
