//! Root acts as the owner of what it removes: whatever a hostile owner has prepared, nothing can be
//! removed that the owner could not have removed.

use std::sync::OnceLock;

use nix::unistd::{Gid, Uid, User, getgroups, setegid, seteuid, setgroups};

use crate::error::{Error, Result};

/// The user ids of this process's user namespace: (first id inside, first id outside, count).
type UidMap = Vec<(u32, u32, u32)>;

/// What the kernel shows for the owner of a file whose user has no id in this namespace (the default of
/// `/proc/sys/kernel/overflowuid`).
const OVERFLOW_UID: u32 = 65534;

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
pub fn is_in_user_namespace() -> bool {
    is_namespace(uid_map())
}

fn is_namespace(map: &UidMap) -> bool {
    !matches!(map[..], [] | [(0, 0, u32::MAX)])
}

/// The id that user `uid` of this user namespace has outside; `None` if it has none.
pub fn host_uid(uid: u32) -> Option<u32> {
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

/// Runs `act` with the effective ids of `uid`, when we are root and it is not.
///
/// # Errors
/// When the ids cannot be changed, else what `act` says.
pub fn act_as<T>(uid: u32, act: impl FnOnce() -> Result<T>) -> Result<T> {
    if !Uid::effective().is_root() || uid == 0 {
        return act();
    }
    let _acting = Acting::start(Uid::from_raw(uid))?;
    act()
}

/// Effective ids that are not ours; dropping it takes them back.
struct Acting {
    groups: Vec<Gid>,
    gid: Gid,
}

impl Acting {
    fn start(uid: Uid) -> Result<Self> {
        let cannot = |e| Error::io(format!("cannot act as user {uid}"), e);
        let group =
            User::from_uid(uid).ok().flatten().map_or(Gid::from_raw(65534), |user| user.gid);
        let acting = Self { groups: getgroups().map_err(cannot)?, gid: Gid::effective() };
        setgroups(&[group]).and_then(|()| setegid(group)).map_err(cannot)?;
        seteuid(uid).map_err(cannot)?;
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        let back = seteuid(Uid::from_raw(0))
            .and_then(|()| setegid(self.gid))
            .and_then(|()| setgroups(&self.groups));
        if back.is_err() {
            // With ids of unknown owners nothing more may be done.
            std::process::abort();
        }
    }
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
}
