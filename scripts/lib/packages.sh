# shellcheck shell=bash
# The Debian packages a build and the tests need, each with the probe that tells whether it is there.
#
# A probe looks for the thing itself, not for the package: a node from elsewhere is as good.

# shellcheck disable=SC2034  # read by scripts/setup
BUILD_PACKAGES=(build-essential cmake libclang-dev)
# shellcheck disable=SC2034
PEER_PACKAGES=(openjdk-17-jdk-headless maven kcat)
# shellcheck disable=SC2034
COUNT_PACKAGES=(valgrind strace)
# shellcheck disable=SC2034
GO_PACKAGES=(golang)
# shellcheck disable=SC2034
TEST_PACKAGES=(python3-venv nodejs npm "${GO_PACKAGES[@]}" wamerican)

# present PACKAGE: whether what the package provides is on this machine.
present() {
    case $1 in
    build-essential) has c++ && has cc && has make ;;
    cmake) has cmake ;;
    # The folder of clang's own headers comes along with libclang-dev; bindgen needs both.
    libclang-dev) find_libclang >/dev/null ;;
    openjdk-17-jdk-headless) has javac ;;
    maven) has mvn ;;
    kcat) has kcat ;;
    strace) has strace ;;
    valgrind) has valgrind && has callgrind_control ;;
    python3-venv) python3 -c 'import ensurepip, venv' >/dev/null 2>&1 ;;
    nodejs) has node ;;
    npm) has npm ;;
    golang) has go ;;
    wamerican) [[ -e /usr/share/dict/american-english ]] ;;
    *) die "no probe for the package $1" ;;
    esac
}

# missing PACKAGE...: prints those that are absent, a line each.
missing() {
    local package
    for package in "$@"; do
        present "$package" || printf '%s\n' "$package"
    done
}
