#!/usr/bin/env bash
exec "$COMPAT/lib/java/prepare" 3.9
