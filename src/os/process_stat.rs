//! Another process: its start, state and processor time. Source: proc_pid_stat(5), clock_getcpuclockid(3).

use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The fields after the name in parentheses, which may contain blanks. The first one is field 3 of the manual.
struct Stat(String);

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self(text.rsplit_once(") ")?.1.to_owned()))
    }

    /// The field with this number in the manual.
    fn number(&self, field: usize) -> Option<u64> {
        self.0.split(' ').nth(field.checked_sub(3)?)?.parse().ok()
    }
}

/// The start time of process `pid` in clock ticks since boot. It distinguishes a reused pid; no decision about a
/// project depends on it.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    Stat::read(pid)?.number(22)
}

/// Whether process `pid` has exited but its parent has not read its status.
pub(crate) fn is_zombie(pid: u32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.0.starts_with(['Z', 'X']))
}

/// The processor time of a process, in user and kernel mode; zero if it cannot be measured.
pub(crate) fn processor_time(pid: Pid) -> Duration {
    let time = clock_getcpuclockid(pid).and_then(ClockId::now);
    time.map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_runs_has_a_start_time_and_is_not_a_zombie() {
        assert!(start_time(std::process::id()).is_some());
        assert!(!is_zombie(std::process::id()));
    }

    #[test]
    fn process_that_does_not_exist_has_no_start_time() {
        assert_eq!(start_time(u32::MAX), None);
        // proc(5): a pid is at most 2^22.
        assert_eq!(processor_time(Pid::from_raw((1 << 22) + 1)), Duration::ZERO);
    }

    #[test]
    fn fields_are_counted_after_the_name() {
        let stat = Stat("S 1 2 3 4 5 6 7 8 9 10 141 151".to_owned());
        assert_eq!((stat.number(14), stat.number(15)), (Some(141), Some(151)));
    }
}
