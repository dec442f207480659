# shellcheck shell=bash
# What every script shares: where the repository is, how to speak, how to stop.
# Source it first: `source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"`.

set -euo pipefail
shopt -s inherit_errexit

KLAMM_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KLAMM_CACHE=${KLAMM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/klamm}
KLAMM_TARGET=${CARGO_TARGET_DIR:-$KLAMM_ROOT/target}
export KLAMM_ROOT KLAMM_CACHE KLAMM_TARGET

# rustup puts cargo here, and a shell that is not a login shell has not heard of it.
if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
    export PATH=$HOME/.cargo/bin:$PATH
fi

# Progress goes to stderr: stdout belongs to what a caller wants to read.
say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# version_at_least HAVE WANT: compares dotted numbers.
version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }
