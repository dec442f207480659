#!/usr/bin/env bash
exec "$COMPAT/lib/go/prepare" sarama
