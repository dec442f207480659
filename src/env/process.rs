//! What the operating system counts for this process, read from `/proc`.

use std::io;

use super::fs;

/// One look at the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time.
    pub cpu_seconds: f64,
    pub resident_memory_bytes: u64,
    pub virtual_memory_bytes: u64,
    pub thread_count: u64,
    pub open_descriptor_count: u64,
    pub descriptor_limit: u64,
}

/// What `/proc/self/stat` says, in its own units.
struct Stat {
    cpu_ticks: u64,
    thread_count: u64,
    /// Since the machine was started.
    start_ticks: u64,
    virtual_memory_bytes: u64,
    resident_page_count: u64,
}

/// `None` where there is no `/proc`, or one that reads differently.
pub fn usage() -> Option<Usage> {
    let stat = Stat::parse(&read("/proc/self/stat").ok()?)?;
    Some(Usage {
        cpu_seconds: seconds(stat.cpu_ticks),
        resident_memory_bytes: stat.resident_page_count * rustix::param::page_size() as u64,
        virtual_memory_bytes: stat.virtual_memory_bytes,
        thread_count: stat.thread_count,
        open_descriptor_count: open_descriptor_count().ok()?,
        descriptor_limit: fs::descriptor_limit(),
    })
}

/// When the process was started, in seconds since the epoch.
pub fn start_time_seconds() -> Option<f64> {
    let stat = Stat::parse(&read("/proc/self/stat").ok()?)?;
    let machine = read("/proc/stat").ok()?;
    let booted_at = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    let booted_at: u64 = booted_at.trim().parse().ok()?;
    Some(booted_at as f64 + seconds(stat.start_ticks))
}

impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The second field is the program's name, which may hold blanks and brackets.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Numbered as in proc(5); the first that is left is field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)? + field(15)?,
            thread_count: field(20)?,
            start_ticks: field(22)?,
            virtual_memory_bytes: field(23)?,
            resident_page_count: field(24)?,
        })
    }
}

fn open_descriptor_count() -> io::Result<u64> {
    // One of them is the listing's own.
    Ok((std::fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1))
}

fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_brackets_and_blanks_is_passed_over() {
        let text = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 3 0 4200 8192 25 184467";
        let stat = Stat::parse(text).expect("a stat line");
        assert_eq!((stat.cpu_ticks, stat.thread_count, stat.start_ticks), (200, 3, 4200));
        assert_eq!((stat.virtual_memory_bytes, stat.resident_page_count), (8192, 25));
        for cut in 0..text.len() - 10 {
            Stat::parse(&text[..cut]);
        }
    }

    #[test]
    fn this_process_has_memory_threads_and_descriptors() {
        let usage = usage().expect("Linux");
        assert!(usage.resident_memory_bytes > 1 << 20, "{usage:?}");
        assert!(usage.virtual_memory_bytes >= usage.resident_memory_bytes, "{usage:?}");
        assert!(usage.thread_count >= 1 && usage.open_descriptor_count >= 3, "{usage:?}");
        assert!(usage.descriptor_limit >= usage.open_descriptor_count, "{usage:?}");
        // The time of this test's writing.
        assert!(start_time_seconds().expect("Linux") > 1.7e9);
    }
}
