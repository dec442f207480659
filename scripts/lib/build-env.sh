# shellcheck shell=bash
# Points cargo at the RocksDB of the user's cache and at libclang; builds RocksDB when it is absent.
# Source it after common.sh, or in an interactive shell: eval "$(scripts/rocksdb env)".

build_env=$("$KLAMM_ROOT/scripts/rocksdb" env)
eval "$build_env"
