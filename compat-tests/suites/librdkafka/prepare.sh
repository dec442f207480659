#!/usr/bin/env bash
# Builds librdkafka and its test runner from the sources that lie in the npm package of Confluent's JavaScript client.
# The package is only unpacked, not installed: its install script would fetch a binary nobody needs here.
set -euo pipefail
package_version=$(sed -n 's/^kafka-javascript=//p' "$COMPAT/versions.lock")
directory="$CACHE/librdkafka-$(sed -n 's/^librdkafka=//p' "$COMPAT/versions.lock")"
if [ ! -e "$directory/ready" ]; then
    rm -rf "$directory"
    mkdir -p "$directory"
    cd "$directory"
    npm pack --silent "@confluentinc/kafka-javascript@$package_version"
    tar xzf ./*.tgz --strip-components=3 package/deps/librdkafka
    rm ./*.tgz
    # No Kerberos: no test here asks for it. -O1 and no debug symbols: the build takes half as long.
    bash ./configure --disable-gssapi --disable-debug-symbols --disable-optimization --CFLAGS=-O1 --CXXFLAGS=-O1
    nice -n 10 make -j2 libs
    nice -n 10 make -j2 -C tests build
    touch ready
fi
# Some of its tests call the stock tools.
"$COMPAT/peer/classpath" "$(sed -n 's/^kafka.tools=//p' "$COMPAT/versions.lock")" >/dev/null
