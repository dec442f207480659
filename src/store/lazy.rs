//! The view when it is needed: opened at first use, and begun anew when it is damaged.
//!
//! A view lies in a directory with a number, below one of its own. One that cannot be opened, or fails while in use, is
//! given up: the next one gets the next number, and the old files go. Nothing is lost with them that the log has not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;

use super::rocks::RocksView;
use super::view::View;
use crate::env::fs;

/// Name of the directory inside the first log directory. No partition's directory can have it: there is no number.
pub const DIRECTORY: &str = "coordinator-view";

/// Opens a view: the one that is there, or a new one in its place when it is `damaged`.
type Open = dyn Fn(Damaged) -> Result<Arc<dyn View>> + Send + Sync;

/// Whether the last view is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    No,
    Yes,
}

/// Told that a view is given up. May be called under the lock of a partition.
type Listener = Box<dyn Fn() + Send + Sync>;

/// A view that may not be open yet, for all who keep something in it.
pub struct LazyView {
    open: Box<Open>,
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
}

struct State {
    view: Option<Arc<dyn View>>,
    damaged: Damaged,
    /// The broker stops.
    is_closed: bool,
}

impl LazyView {
    /// The view inside `log_directory`, which must be there.
    pub fn inside(log_directory: &Path) -> LazyView {
        let directory = log_directory.join(DIRECTORY);
        LazyView::new(move |damaged| open_newest(&directory, damaged))
    }

    /// A view that `open` makes.
    pub fn new(open: impl Fn(Damaged) -> Result<Arc<dyn View>> + Send + Sync + 'static) -> LazyView {
        let state = State { view: None, damaged: Damaged::No, is_closed: false };
        LazyView { open: Box::new(open), state: Mutex::new(state), listeners: Mutex::default() }
    }

    /// Opens the view unless it is open. Blocking.
    pub fn get(&self) -> Result<Arc<dyn View>> {
        let mut state = self.state.lock();
        if let Some(view) = &state.view {
            return Ok(view.clone());
        }
        if state.is_closed {
            bail!("open the view: the broker stops");
        }
        let view = (self.open)(state.damaged)?;
        *state = State { view: Some(view.clone()), damaged: Damaged::No, is_closed: false };
        Ok(view)
    }

    /// The view if it is open.
    pub fn opened(&self) -> Option<Arc<dyn View>> {
        self.state.lock().view.clone()
    }

    /// Brings an open view to disk and lets it go, for good. Blocking.
    pub fn close(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.is_closed = true;
        let view = state.view.take();
        let flushed = view.map_or(Ok(()), |view| view.flush());
        flushed.map_err(|error| anyhow::anyhow!("flush the view: {error:?}"))
    }

    /// From here on `listener` is told when a view is given up: what it has there must be brought into the next one.
    pub fn when_given_up(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.listeners.lock().push(listener);
    }

    /// `failed` is damaged: the next [`LazyView::get`] begins an empty one, and all who have something in it are told.
    /// Nothing happens when somebody said so before.
    pub fn give_up(&self, failed: &Arc<dyn View>) {
        if self.let_go(failed) {
            self.listeners.lock().iter().for_each(|listener| listener());
        }
    }

    /// Whether `failed` is the view in use, which it is no longer.
    fn let_go(&self, failed: &Arc<dyn View>) -> bool {
        let mut state = self.state.lock();
        let is_current = state.view.as_ref().is_some_and(|view| Arc::ptr_eq(view, failed));
        if is_current {
            *state = State { view: None, damaged: Damaged::Yes, is_closed: state.is_closed };
        }
        is_current
    }
}

/// Whether there is a view inside `log_directory`, so that opening it in the background is worth while.
pub fn exists(log_directory: &Path) -> bool {
    fs::exists(&log_directory.join(DIRECTORY))
}

fn open_newest(directory: &Path, damaged: Damaged) -> Result<Arc<dyn View>> {
    fs::create_directories(directory).with_context(|| format!("create {}", directory.display()))?;
    let numbers = numbers(directory)?;
    let newest = numbers.iter().max().copied();
    let first_try = match damaged {
        Damaged::No => newest.unwrap_or(0),
        Damaged::Yes => newest.map_or(0, |newest| newest + 1),
    };
    let (number, view) = match RocksView::open(&path(directory, first_try)) {
        Ok(view) => (first_try, view),
        Err(error) if newest == Some(first_try) => {
            let error = format!("{error:#}");
            tracing::warn!(directory = %directory.display(), error, "the view cannot be opened and is rebuilt from the log");
            (first_try + 1, RocksView::open(&path(directory, first_try + 1))?)
        }
        Err(error) => return Err(error),
    };
    for old in numbers.into_iter().filter(|old| *old != number) {
        // What cannot be removed takes room, and is tried again at the next start.
        if let Err(error) = fs::remove_directory(&path(directory, old)) {
            tracing::warn!(directory = %path(directory, old).display(), %error, "remove an old view");
        }
    }
    Ok(Arc::new(view))
}

fn path(directory: &Path, number: u32) -> PathBuf {
    directory.join(number.to_string())
}

fn numbers(directory: &Path) -> Result<Vec<u32>> {
    let entries = fs::list(directory).with_context(|| format!("list {}", directory.display()))?;
    Ok(entries.iter().filter_map(|entry| entry.name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_cannot_be_opened_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        drop(LazyView::inside(directory.path()).get().unwrap());
        assert!(exists(directory.path()));
        std::fs::write(directory.path().join(DIRECTORY).join("0/CURRENT"), "rubbish").unwrap();
        drop(LazyView::inside(directory.path()).get().unwrap());
        assert_eq!(numbers(&directory.path().join(DIRECTORY)).unwrap(), [1]);
        drop(LazyView::inside(directory.path()).get().unwrap());
        assert_eq!(numbers(&directory.path().join(DIRECTORY)).unwrap(), [1]);
    }

    #[test]
    fn a_view_that_failed_is_given_up_once_and_all_who_have_it_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let lazy = LazyView::inside(directory.path());
        let told = Arc::new(Mutex::new(Vec::new()));
        for name in ["groups", "transactions"] {
            let telling = told.clone();
            lazy.when_given_up(Box::new(move || telling.lock().push(name)));
        }
        let first = lazy.get().unwrap();
        lazy.give_up(&first);
        lazy.give_up(&first);
        assert_eq!(*told.lock(), ["groups", "transactions"]);
        assert!(lazy.opened().is_none());
        let second = lazy.get().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        lazy.give_up(&first);
        assert!(lazy.opened().is_some(), "the other is not the one in use");
        assert_eq!(told.lock().len(), 2);
    }
}
