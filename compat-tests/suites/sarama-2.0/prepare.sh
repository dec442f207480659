#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" sarama-2.0
