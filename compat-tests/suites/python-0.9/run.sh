#!/usr/bin/env bash
exec "$COMPAT/lib/ages/run" "$COMPAT/lib/ages/scenarios.py" python-0.9
