//! Hints for error numbers that a limit of this process explains.

use nix::sys::resource::{Resource, getrlimit};

/// The hint for an error number that a limit of this process explains. Returns `None` if no limit does.
pub(super) fn limit_hint(errno: i32) -> Option<String> {
    match errno {
        libc::EMFILE => soft_limit(Resource::RLIMIT_NOFILE).map(|limit| {
            format!("this process may open {limit} files; raise the limit with 'ulimit -n'")
        }),
        libc::ENFILE => {
            Some("the node has too many files open; raise the limit with 'sysctl fs.file-max'".to_owned())
        }
        libc::EFBIG => soft_limit(Resource::RLIMIT_FSIZE).map(|limit| {
            format!(
                "files of this process may have {limit} bytes; raise the limit with 'ulimit -f unlimited'"
            )
        }),
        libc::ENOMEM => soft_limit(Resource::RLIMIT_AS).map(|limit| {
            format!(
                "the address space of this process is limited to {limit} bytes; raise the limit with \
                 'ulimit -v unlimited'"
            )
        }),
        _ => None,
    }
}

/// The soft limit of a resource. Returns `None` if it is unlimited.
pub(crate) fn soft_limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(soft, _)| soft).filter(|&soft| soft != libc::RLIM_INFINITY)
}
