#!/usr/bin/env bash
exec "$COMPAT/lib/ages/prepare" java-0.9 java-0.10 java-0.11 java-1.1 java-2.8 java-3.9 java-4.4 python-0.9 python-0.10 python-0.11 sarama-0.9 sarama-0.10 sarama-0.11 sarama-1.0 sarama-2.0 franz-0.9 franz-0.10 franz-0.11 kafkajs-1.4 kafkajs-1.12 kcat-0.9
