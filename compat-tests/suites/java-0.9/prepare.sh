#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" java-0.9
