#!/usr/bin/env bash
exec "$COMPAT/lib/java/run" 4.4
