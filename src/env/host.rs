//! What this machine is called.

/// The machine's host name; `None` when it is not text.
pub fn name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}
