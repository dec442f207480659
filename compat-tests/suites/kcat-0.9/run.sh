#!/usr/bin/env bash
exec "$COMPAT/lib/ages/run" "$COMPAT/lib/ages/scenarios.py" kcat-0.9
