#!/usr/bin/env bash
# The runner of the suite librdkafka, whose consumers use the consumer protocol (KIP-848).
export SUITE TEST_CONSUMER_GROUP_PROTOCOL=consumer
SUITE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$COMPAT/suites/librdkafka/run.sh"
