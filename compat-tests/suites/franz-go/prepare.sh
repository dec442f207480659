#!/usr/bin/env bash
# Compiles the tests that lie in the module's own zip; the module cache is read-only, so from a copy.
set -euo pipefail
version=$(sed -n 's/^franz-go=//p' "$COMPAT/versions.lock")
copy="$CACHE/franz-go-$version"
if [ ! -x "$copy/kgo.test" ]; then
    mkdir -p "$copy"
    cd "$copy"
    module=$(go mod download -json "github.com/twmb/franz-go@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    cp -r "$module" source
    chmod -R u+w source
    cd source/pkg/kgo
    go test -c -o "$copy/kgo.test" .
fi
