//! File faults on order, for tests only: the n-th call of a kind on paths below a prefix fails.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::io::Errno;

/// The kinds of call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Open,
    Read,
    /// A read that must not wait for a disk.
    ReadCached,
    Write,
    Sync,
    Truncate,
    Rename,
}

struct Fault {
    id: u64,
    operation: Operation,
    prefix: String,
    /// Calls that still succeed before the fault.
    spared_count: u32,
    /// Calls that fail after that.
    failing_count: u32,
    errno: Errno,
    /// Bytes that a failing write writes before it fails.
    written_size: usize,
}

static FAULTS: Mutex<Vec<Fault>> = Mutex::new(Vec::new());

/// A fault is in force as long as this lives.
pub struct Injected(u64);

impl Drop for Injected {
    fn drop(&mut self) {
        FAULTS.lock().retain(|fault| fault.id != self.0);
    }
}

/// A fault to come; [`Plan::inject`] puts it in force.
pub struct Plan(Fault);

/// Calls of `operation` on paths that begin with `prefix` fail with `errno`.
pub fn on(operation: Operation, prefix: &Path, errno: Errno) -> Plan {
    let prefix = prefix.to_string_lossy().into_owned();
    Plan(Fault { id: 0, operation, prefix, spared_count: 0, failing_count: u32::MAX, errno, written_size: 0 })
}

impl Plan {
    /// The first `count` calls succeed.
    pub fn after(mut self, count: u32) -> Plan {
        self.0.spared_count = count;
        self
    }

    /// Only `count` calls fail.
    pub fn times(mut self, count: u32) -> Plan {
        self.0.failing_count = count;
        self
    }

    /// A failing write writes this many bytes first.
    pub fn writing(mut self, size: usize) -> Plan {
        self.0.written_size = size;
        self
    }

    pub fn inject(mut self) -> Injected {
        let mut faults = FAULTS.lock();
        self.0.id = faults.iter().map(|fault| fault.id + 1).max().unwrap_or(0);
        let id = self.0.id;
        faults.push(self.0);
        Injected(id)
    }
}

pub(super) fn meet(operation: Operation, path: &Path) -> io::Result<()> {
    strike(operation, path).map_or(Ok(()), |(errno, _)| Err(errno.into()))
}

pub(super) fn meet_write(path: &Path, size: usize) -> Result<(), (usize, io::Error)> {
    strike(Operation::Write, path)
        .map_or(Ok(()), |(errno, written_size)| Err((written_size.min(size), errno.into())))
}

fn strike(operation: Operation, path: &Path) -> Option<(Errno, usize)> {
    let path = PathBuf::from(path).to_string_lossy().into_owned();
    let mut faults = FAULTS.lock();
    let fault =
        faults.iter_mut().find(|fault| fault.operation == operation && path.starts_with(&fault.prefix))?;
    if fault.spared_count > 0 {
        fault.spared_count -= 1;
        return None;
    }
    if fault.failing_count == 0 {
        return None;
    }
    fault.failing_count -= 1;
    Some((fault.errno, fault.written_size))
}
