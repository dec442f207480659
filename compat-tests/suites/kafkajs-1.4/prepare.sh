#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" kafkajs-1.4
