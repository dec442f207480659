//! RocksDB's static initialisers, run when the first view is opened instead of before `main`.
//!
//! A broker without groups and transactions never needs them: they are more than half of the instructions of a start
//! and touch code all over RocksDB, 4 MiB of memory. `scripts/link/rocksdb.ld` takes them out of the list that the C
//! runtime runs, and `scripts/link/build.rs` says whether it was used; otherwise, and with a RocksDB that is not in the
//! broker, the table is empty and they have run before. Whoever calls RocksDB calls [`run`] first.

#![allow(unsafe_code)]

#[cfg(rocksdb_initialisers_are_deferred)]
pub(super) fn run() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(run_all);
}

#[cfg(not(rocksdb_initialisers_are_deferred))]
pub(super) fn run() {}

#[cfg(rocksdb_initialisers_are_deferred)]
fn run_all() {
    type Initialiser = extern "C" fn();
    // Of no size, so that the compiler does not take the addresses for different ones.
    unsafe extern "C" {
        #[link_name = "klamm_rocksdb_initialisers_begin"]
        static BEGIN: [Initialiser; 0];
        #[link_name = "klamm_rocksdb_initialisers_end"]
        static END: [Initialiser; 0];
    }
    // SAFETY: the linker script puts both symbols around a table of function pointers, which the loader has relocated.
    let initialisers = unsafe {
        let (begin, end) = ((&raw const BEGIN).cast::<Initialiser>(), (&raw const END).cast::<Initialiser>());
        std::slice::from_raw_parts(begin, end.offset_from_unsigned(begin))
    };
    for initialise in initialisers {
        initialise();
    }
}
