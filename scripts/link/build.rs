//! How the broker is linked, so that a start touches little memory.
//!
//! Each measure is left out where it cannot work; the broker does the same without it in more memory.
//!
//! - RocksDB's static initialisers wait until RocksDB is needed: `rocksdb.ld`, `src/store/initialisers.rs`.
//! - The functions that a start runs stand side by side: `start.ld`, written by `scripts/start-order`.
//! - Relative relocations are packed: of 35,000 the dynamic linker reads 7 KB instead of 850.
//! - The C++ library is linked into the broker: of 2 MB it needs few functions, which then stand together.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first that can load packed relocations.
const PACKED_SINCE_GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rustc-check-cfg=cfg(rocksdb_initialisers_are_deferred)");
    println!("cargo::rerun-if-changed=scripts/link");
    println!("cargo::rerun-if-env-changed=CXX");
    if !is_linux_with_glibc() || has_linker_of_the_user() {
        return;
    }
    println!("cargo::rustc-cfg=rocksdb_initialisers_are_deferred");
    println!("cargo::rustc-link-arg=-T");
    println!("cargo::rustc-link-arg={}", script("rocksdb.ld").display());
    if variable("OPT_LEVEL") == "3" {
        println!("cargo::rustc-link-arg-bins=-T");
        println!("cargo::rustc-link-arg-bins={}", script("start.ld").display());
    }
    if is_cross_build() {
        return;
    }
    if glibc_version().is_some_and(|version| version >= PACKED_SINCE_GLIBC) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if let Some(archive) = static_cxx_library() {
        println!("cargo::rustc-link-arg-bins=-L{}", directory_of_only(&archive).display());
    }
}

fn is_linux_with_glibc() -> bool {
    variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu"
}

/// Whether cargo was told of a linker. Some, such as mold and gold, take no linker script that adds to their layout.
fn has_linker_of_the_user() -> bool {
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("linker") || flags.contains("fuse-ld")
}

/// Whether what this machine has says nothing about the machine that runs the broker.
fn is_cross_build() -> bool {
    variable("HOST") != variable("TARGET")
}

fn script(name: &str) -> PathBuf {
    Path::new(&variable("CARGO_MANIFEST_DIR")).join("scripts/link").join(name)
}

/// As `getconf` names it: "glibc 2.36".
fn glibc_version() -> Option<(u32, u32)> {
    let text = output("getconf", "GNU_LIBC_VERSION")?;
    let (major, minor) = text.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// The archive of the compiler with which RocksDB is built.
fn static_cxx_library() -> Option<PathBuf> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    // A compiler that has none answers with the name it was given.
    let path = PathBuf::from(output(&compiler, "-print-file-name=libstdc++.a")?);
    path.is_absolute().then_some(path)
}

/// A directory with nothing but `archive`. `-lstdc++` comes from the crate that binds RocksDB; searched here first, it
/// finds no shared library.
fn directory_of_only(archive: &Path) -> PathBuf {
    let directory = Path::new(&variable("OUT_DIR")).join("archives");
    std::fs::create_dir_all(&directory).expect("cargo's output directory takes directories");
    std::fs::copy(archive, directory.join("libstdc++.a")).expect("cargo's output directory takes files");
    directory
}

fn output(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// What cargo sets for build scripts; empty when it does not.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
