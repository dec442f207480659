#!/usr/bin/env bash
exec "$COMPAT/lib/ages/run" "$COMPAT/lib/ages/scenarios.py" kafkajs-1.4
