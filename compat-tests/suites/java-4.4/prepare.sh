#!/usr/bin/env bash
exec "$COMPAT/lib/java/prepare" 4.4
