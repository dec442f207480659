#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" java-0.9 java-0.10 java-4.4 kcat-0.9
