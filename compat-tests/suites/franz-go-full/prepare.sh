#!/usr/bin/env bash
# The module and its compiled tests are those of the suite franz-go.
exec "$COMPAT/suites/franz-go/prepare.sh"
