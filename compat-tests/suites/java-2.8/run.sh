#!/usr/bin/env bash
exec "$COMPAT/lib/java/run" 2.8
