//! A directory that goes when it is no longer used (`--temp`).

use std::io;
use std::path::{Path, PathBuf};

use super::rng::Rng;

/// A new directory below the system's directory for temporary files.
#[derive(Debug)]
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub fn create() -> io::Result<TemporaryDirectory> {
        let path = std::env::temp_dir().join(format!("klamm-{}", Rng::system().uuid().simple()));
        std::fs::create_dir(&path)?;
        Ok(TemporaryDirectory(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, which clears the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
