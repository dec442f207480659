#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" franz-0.9
