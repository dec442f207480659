#!/usr/bin/env bash
exec "$COMPAT/lib/ages/run" "$COMPAT/lib/ages/scenarios.py" sarama-0.9
