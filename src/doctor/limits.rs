//! Limits of processes: the stock Python reader opens a file for every array.

use super::check::{Check, Level};
use super::node::Node;

/// Open files of a Python program besides its arrays.
const OTHER_FILES: u64 = 64;

/// Compares the limit on open files with the number of arrays of the largest project.
pub(super) fn descriptors(node: &Node) -> Check {
    let name = "open_files";
    let text = node.text("/proc/self/limits");
    let limit = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = limit.unwrap_or_default().split_whitespace();
    let (soft, hard) = (words.next(), words.next().unwrap_or("unknown"));
    let Some(soft) = soft.and_then(|soft| soft.parse::<u64>().ok()) else {
        return Check::new(name, Level::Ok, "no limit on open files");
    };
    let arrays = node.most_arrays;
    let message = format!(
        "limit of {soft} open files (hard limit: {hard}); the largest project has {}",
        crate::text::count(arrays, "array")
    );
    if arrays.saturating_add(OTHER_FILES) > soft {
        let enough = arrays.saturating_mul(2).next_power_of_two().max(4096);
        return Check::new(
            name,
            Level::Warning,
            format!("{message}: Python opens a file for each array"),
        )
        .with_hint(format!("run 'ulimit -n {enough}' before Python starts"));
    }
    Check::new(name, Level::Ok, message)
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    #[test]
    fn more_arrays_than_open_files_is_a_warning() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max open files            1024                 4096                 files\n";
        let (_temp, mut node) = node(&[("proc/self/limits", limits)]);
        assert_eq!(descriptors(&node).level, Level::Ok);
        node.most_arrays = 1000;
        let check = descriptors(&node);
        assert_eq!(check.level, Level::Warning);
        assert!(check.hint.unwrap().contains("ulimit -n 4096"));
    }

    #[test]
    fn no_limit_is_fine() {
        let limits = "Max open files            unlimited            unlimited            files\n";
        assert_eq!(descriptors(&node(&[("proc/self/limits", limits)]).1).level, Level::Ok);
    }
}
