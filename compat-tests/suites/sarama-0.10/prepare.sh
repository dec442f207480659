#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" sarama-0.10
