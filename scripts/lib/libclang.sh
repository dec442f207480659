# shellcheck shell=bash
# bindgen loads libclang at build time; this finds the folder it lies in.

# Prints the folder of the newest libclang, or fails when there is none.
find_libclang() {
    local found
    if [[ -n ${LIBCLANG_PATH:-} ]]; then
        printf '%s\n' "$LIBCLANG_PATH"
        return
    fi
    # A bare libclang.so.N counts too; libclang-cpp is another library.
    found=$(compgen -G '/usr/lib/llvm-*/lib/libclang.so*' ||
        compgen -G '/usr/lib/*/libclang*.so*' ||
        compgen -G '/usr/lib64/libclang.so*' || true)
    found=$(grep -v 'libclang-cpp' <<<"$found" | sort -V | tail -n 1 || true)
    [[ -n $found ]] && dirname "$found"
}
