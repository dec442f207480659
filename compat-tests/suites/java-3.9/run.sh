#!/usr/bin/env bash
exec "$COMPAT/lib/java/run" 3.9
