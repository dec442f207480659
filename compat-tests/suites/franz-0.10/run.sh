#!/usr/bin/env bash
exec "$COMPAT/lib/ages/run" "$COMPAT/lib/ages/scenarios.py" franz-0.10
