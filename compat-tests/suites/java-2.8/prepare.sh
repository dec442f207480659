#!/usr/bin/env bash
exec "$COMPAT/lib/java/prepare" 2.8
