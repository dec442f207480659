# shellcheck shell=bash
# A Go that can build franz-go's suite. Go 1.21 and newer fetch the toolchain that a module asks for;
# Debian 12's 1.19 does not, but the toolchains are modules like any other, so it can download one.

GO_SELF_UPDATING=1.21
GO_TOOLCHAIN=go1.26.8
GO_FOLDER=$KLAMM_CACHE/$GO_TOOLCHAIN

go_is_old() { ! version_at_least "$(go version | awk '{ print substr($3, 3) }')" "$GO_SELF_UPDATING"; }

# Downloads the toolchain into the cache when the machine's Go is too old.
need_go() {
    local work=$GO_FOLDER.download module
    go_is_old || return 0
    [[ -x $GO_FOLDER/bin/go ]] && return
    module=golang.org/toolchain@v0.0.1-$GO_TOOLCHAIN.$(go env GOOS)-$(go env GOARCH)
    say "downloading $GO_TOOLCHAIN, as $(go version) is too old"
    mkdir -p "$KLAMM_CACHE"
    (
        flock 9
        [[ -x $GO_FOLDER/bin/go ]] && exit
        remove_modules "$work"
        mkdir -p "$work/module"
        cd "$work/module" || exit
        go mod init toolchain >/dev/null 2>&1
        GOPATH=$work GOFLAGS='' go mod download "$module" >&2
        # The module cache is read-only and drops the execute bits.
        chmod -R u+w "$work"
        chmod u+x "$work/pkg/mod/$module"/bin/* "$work/pkg/mod/$module"/pkg/tool/*/*
        mv -T "$work/pkg/mod/$module" "$GO_FOLDER"
        remove_modules "$work"
    ) 9>"$GO_FOLDER.lock"
}

remove_modules() {
    [[ ! -e $1 ]] || chmod -R u+w "$1"
    rm -rf "$1"
}

# Puts the downloaded toolchain first in PATH when the machine's Go is too old.
use_go() {
    if has go && go_is_old; then
        export PATH=$GO_FOLDER/bin:$PATH GOROOT=$GO_FOLDER
    fi
}
