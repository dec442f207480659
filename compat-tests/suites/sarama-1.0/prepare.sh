#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" sarama-1.0
