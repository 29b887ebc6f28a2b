//! The user and group ids of this process. Root acts with the ids of the owner of a project, so that it removes nothing
//! that the owner could not remove, and becomes a user for `--as-user`.

use std::os::fd::RawFd;
use std::sync::OnceLock;

use nix::sys::prctl;
use nix::unistd::{
    Gid, Uid, User, getgrouplist, getgroups, getresgid, getresuid, setegid, seteuid, setgroups,
    setresgid, setresuid,
};

use crate::error::{Error, Kind, Result};
use crate::os::descriptors::close_others;

/// The user ids of this process's user namespace: (first id inside, first id outside, count).
type UidMap = Vec<(u32, u32, u32)>;

/// The owner that the kernel reports for a file whose user has no id in this namespace (the default of
/// `/proc/sys/kernel/overflowuid`).
const OVERFLOW_UID: u32 = 65534;
/// The group for a user without an entry in the user database. The group whose number equals the user id is unrelated to
/// the user.
const OVERFLOW_GID: u32 = 65534;

fn uid_map() -> &'static UidMap {
    static MAP: OnceLock<UidMap> = OnceLock::new();
    // user_namespaces(7): each line is "inside outside count".
    MAP.get_or_init(|| {
        parse_uid_map(&std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default())
    })
}

fn parse_uid_map(text: &str) -> UidMap {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    text.lines().filter_map(line).collect()
}

/// Whether this process runs in a user namespace, as in rootless containers. Without `/proc` it does not.
pub(crate) fn is_in_user_namespace() -> bool {
    is_namespace(uid_map())
}

fn is_namespace(map: &UidMap) -> bool {
    !matches!(map[..], [] | [(0, 0, u32::MAX)])
}

/// The id that user `uid` of this user namespace has outside; `None` if it has none.
pub(crate) fn host_uid(uid: u32) -> Option<u32> {
    host_uid_in(uid_map(), uid)
}

fn host_uid_in(map: &UidMap, uid: u32) -> Option<u32> {
    if !is_namespace(map) {
        return Some(uid);
    }
    if uid == OVERFLOW_UID {
        return None;
    }
    map.iter().find_map(|&(inside, outside, count)| {
        let offset = uid.checked_sub(inside)?;
        (offset < count).then(|| outside.checked_add(offset))?
    })
}

/// Runs `act` with the effective ids of `uid` if this process is root and `uid` is not.
///
/// # Errors
/// Returns an I/O error if the ids cannot be changed, else the error of `act`.
pub(crate) fn act_as<T>(uid: u32, act: impl FnOnce() -> Result<T>) -> Result<T> {
    if !Uid::effective().is_root() || uid == 0 {
        return act();
    }
    let cannot = |e| cannot_act_as(uid, e);
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let group = primary_group(user.as_ref());
    let _acting = Acting::start(Uid::from_raw(uid), group, &[group]).map_err(cannot)?;
    act()
}

fn primary_group(user: Option<&User>) -> Gid {
    user.map_or(Gid::from_raw(OVERFLOW_GID), |user| user.gid)
}

fn cannot_act_as(uid: u32, errno: nix::Error) -> Error {
    Error::io(format!("cannot act as user {uid}"), errno)
}

/// Effective ids of another user. Dropping it restores those of root.
struct Acting {
    groups: Vec<Gid>,
    gid: Gid,
}

impl Acting {
    fn start(uid: Uid, gid: Gid, groups: &[Gid]) -> nix::Result<Self> {
        let acting = Self { groups: getgroups()?, gid: Gid::effective() };
        setgroups(groups).and_then(|()| setegid(gid)).and_then(|()| seteuid(uid))?;
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let back = seteuid(Uid::from_raw(0))
            .and_then(|()| setegid(self.gid))
            .and_then(|()| setgroups(&self.groups));
        if back.is_err() {
            // The process must not continue with unknown ids.
            std::process::abort();
        }
    }
}

/// Becomes the user `name` (or number) for good. Closes all descriptors but the standard ones and `kept`. The process
/// must have one thread: only the credentials of this thread change.
///
/// # Errors
/// Returns [`Kind::NotFound`] for an unknown user, and [`Kind::Permission`] if this process is neither root nor that
/// user.
pub(crate) fn become_user(name: &str, kept: &[RawFd]) -> Result<()> {
    let user = find(name)?;
    let mine = Uid::effective();
    if !mine.is_root() {
        return if mine == user.uid { Ok(()) } else { Err(not_root(name)) };
    }
    if user.uid.is_root() {
        return Ok(());
    }
    // The user can inspect this process from now on, so it must not keep the descriptors of root's script.
    close_others(kept, -1);
    let cannot = |e| Error::io(format!("cannot become user '{name}'"), e);
    let groups = groups(&user).map_err(cannot)?;
    setgroups(&groups).map_err(cannot)?;
    setresgid(user.gid, user.gid, user.gid).map_err(cannot)?;
    setresuid(user.uid, user.uid, user.uid).map_err(cannot)?;
    if !is_only(&user) || nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        // The process must not continue with unknown ids.
        std::process::abort();
    }
    // The kernel gave /proc/self to root when the ids changed; the loader writes its OOM score there.
    prctl::set_dumpable(true).map_err(cannot)
}

/// Runs `run` with the effective ids and groups of user `uid`, then restores those of root. The process must have one
/// thread.
///
/// # Errors
/// Returns [`Kind::Permission`] if this process is not root, and the error of a call that fails before `run`.
pub(crate) fn with_effective_user<T>(uid: u32, run: impl FnOnce() -> T) -> Result<T> {
    if !Uid::effective().is_root() {
        let message = format!("only root can act as user {uid}");
        return Err(Error::new(Kind::Permission, message).with_hint("run the command with sudo"));
    }
    let cannot = |e| cannot_act_as(uid, e);
    let user = User::from_uid(Uid::from_raw(uid)).map_err(cannot)?;
    let gid = primary_group(user.as_ref());
    let theirs = user.as_ref().map_or_else(|| Ok(vec![gid]), groups).map_err(cannot)?;
    let _acting = Acting::start(Uid::from_raw(uid), gid, &theirs).map_err(cannot)?;
    Ok(run())
}

fn find(name: &str) -> Result<User> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => {
            Err(Error::new(Kind::NotFound, format!("there is no user '{name}'")).with_subject(name))
        }
        Err(errno) => Err(Error::io(format!("cannot look up user '{name}'"), errno)),
    }
}

fn groups(user: &User) -> nix::Result<Vec<Gid>> {
    let name = std::ffi::CString::new(user.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    getgrouplist(&name, user.gid)
}

/// Whether real, effective and saved ids are those of the user.
fn is_only(user: &User) -> bool {
    let uids = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.uid; 3]);
    uids && getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.gid; 3])
}

fn not_root(name: &str) -> Error {
    Error::new(Kind::Permission, format!("only root can load as user '{name}'"))
        .with_subject(name)
        .with_hint("leave --as-user out, or let the prolog run it as root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_translated_out_of_a_user_namespace() {
        let map = parse_uid_map("         0       1000          1\n 1 100000 65536\n");
        assert_eq!(host_uid_in(&map, 0), Some(1000));
        assert_eq!(host_uid_in(&map, 1), Some(100_000));
        assert_eq!(host_uid_in(&map, 70_000), None);
        assert_eq!(host_uid_in(&map, OVERFLOW_UID), None);
    }

    #[test]
    fn outside_a_user_namespace_ids_are_unchanged() {
        for text in ["         0          0 4294967295\n", ""] {
            let map = parse_uid_map(text);
            assert!(!is_namespace(&map));
            assert_eq!(host_uid_in(&map, OVERFLOW_UID), Some(OVERFLOW_UID));
        }
    }

    #[test]
    fn user_without_entry_has_the_overflow_group() {
        assert_eq!(primary_group(None), Gid::from_raw(OVERFLOW_GID));
        let root = User::from_uid(Uid::from_raw(0)).unwrap();
        assert_eq!(primary_group(root.as_ref()), Gid::from_raw(0));
    }

    #[test]
    fn unknown_user_is_not_found() {
        for name in ["no such user", "4294967294"] {
            assert_eq!(become_user(name, &[]).unwrap_err().kind(), Kind::NotFound);
        }
    }

    #[test]
    fn becoming_the_effective_user_changes_nothing() {
        let mine = Uid::effective().as_raw().to_string();
        become_user(&mine, &[]).unwrap();
        assert_eq!(Uid::effective().as_raw().to_string(), mine);
    }
}
