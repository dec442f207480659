#!/usr/bin/env bash
# The runner is that of the suite librdkafka.
exec "$COMPAT/suites/librdkafka/prepare.sh"
