#!/usr/bin/env bash
# Runs a Java class of the test suite, on the class path it brings, beside Apache Kafka's clients.
set -euo pipefail
peer=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../peer" && pwd)
version=$(sed -n 's/^kafka.tools=//p' "$peer/../versions.lock")
exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx256m \
    -Dlog4j2.configurationFile="$peer/log4j2-tools.properties" -cp "$CLASSPATH:$("$peer/classpath" "$version")" "$@"
