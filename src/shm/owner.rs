//! Root acts as the owner of what it removes: whatever a hostile owner has prepared, nothing can be
//! removed that the owner could not have removed.

use nix::unistd::{Gid, Uid, User, getgroups, setegid, seteuid, setgroups};

use crate::{Error, Result};

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
