//! The limits of a process: `ulimit` and the limit of tasks of the cgroup.

use std::fs;

use nix::sys::resource::Resource;

use crate::error::{Error, soft_limit};
use crate::os::page_size::page_size;

/// The mount point of the cgroup file systems.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Whether `errno` means that a file exceeds the file size limit of this process.
pub(crate) fn is_file_size(errno: Option<i32>) -> bool {
    errno == Some(libc::EFBIG) && soft_limit(Resource::RLIMIT_FSIZE).is_some()
}

/// The soft limit of a process's address space or data, if there is one.
pub(crate) fn address_space() -> Option<u64> {
    soft_limit(Resource::RLIMIT_AS).or_else(|| soft_limit(Resource::RLIMIT_DATA))
}

/// Bytes of addresses that `ulimit -v` leaves this process; `None` without a limit.
pub(crate) fn free_addresses() -> Option<u64> {
    let limit = soft_limit(Resource::RLIMIT_AS)?;
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    // The unit of the file is pages.
    let pages: u64 = text.split(' ').next()?.parse().ok()?;
    Some(limit.saturating_sub(pages.saturating_mul(page_size())))
}

/// The soft limit of processor time in seconds, if there is one.
pub(crate) fn processor_seconds() -> Option<u64> {
    soft_limit(Resource::RLIMIT_CPU)
}

/// The error of a process or a thread that could not be started. The hint names the limits.
pub(crate) fn process(what: impl Into<String>, error: impl Into<std::io::Error>) -> Error {
    let error = error.into();
    let by_limit = error.raw_os_error() == Some(libc::EAGAIN);
    let error = Error::io(what, error);
    if !by_limit {
        return error;
    }
    let user = soft_limit(Resource::RLIMIT_NPROC)
        .map(|limit| format!("the user may run {limit} processes and threads (ulimit -u)"));
    let group =
        pids_limit().map(|limit| format!("the cgroup may run {limit} (pids.max, TasksMax)"));
    let named: Vec<String> = [user, group].into_iter().flatten().collect();
    error.with_hint(match named.is_empty() {
        true => "raise the limit of processes: ulimit -u, pids.max of the cgroup, sysctl kernel.threads-max"
            .to_owned(),
        false => format!("{}; raise the limit, or end other processes", named.join(", ")),
    })
}

/// The lowest limit of tasks among this process's cgroup and its ancestors.
fn pids_limit() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let paths = text.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some(format!("{CGROUPS}{path}")),
            "pids" => Some(format!("{CGROUPS}/pids{path}")),
            _ => None,
        }
    });
    paths.filter_map(|path| lowest(&path, CGROUPS)).min()
}

fn lowest(path: &str, mount: &str) -> Option<u64> {
    let groups =
        std::path::Path::new(path).ancestors().take_while(|group| group.starts_with(mount));
    groups
        .filter_map(|group| fs::read_to_string(group.join("pids.max")).ok()?.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_limit_of_all_ancestors_counts() {
        let temp = tempfile::tempdir().unwrap();
        let group = temp.path().join("a/b");
        fs::create_dir_all(&group).unwrap();
        fs::write(temp.path().join("a/pids.max"), "70\n").unwrap();
        fs::write(group.join("pids.max"), "max\n").unwrap();
        let mount = temp.path().to_str().unwrap();
        assert_eq!(lowest(group.to_str().unwrap(), mount), Some(70));
        assert_eq!(lowest(mount, mount), None);
    }

    #[test]
    fn error_of_a_process_names_a_limit_only_for_eagain() {
        let error = |errno| process("cannot start", std::io::Error::from_raw_os_error(errno));
        assert!(error(libc::EAGAIN).hint().unwrap().contains("raise the limit"));
        assert_eq!(error(libc::ENOENT).hint(), None);
    }
}
