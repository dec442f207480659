#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" python-0.11
