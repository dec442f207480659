#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" kcat-0.9
