//! `--as-user`: root becomes the user before anything is opened, for good. What is parsed and made from
//! then on is the user's own doing, with the user's rights.

use std::os::fd::RawFd;

use nix::sys::prctl;
use nix::unistd::{
    Gid, Uid, User, getgrouplist, getresgid, getresuid, setgroups, setresgid, setresuid,
};

use super::background::close_others;
use crate::{Error, Kind, Result};

/// Becomes the user `who` (a name or a number); of open descriptors only the standard ones and `kept` stay.
/// For a process without threads: it is this thread's credentials that change.
///
/// # Errors
/// [`Kind::NotFound`] for an unknown user, [`Kind::Permission`] when we are neither root nor that user.
pub fn become_user(who: &str, kept: &[RawFd]) -> Result<()> {
    let user = find(who)?;
    let mine = Uid::effective();
    if !mine.is_root() {
        return if mine == user.uid { Ok(()) } else { Err(not_root(who)) };
    }
    if user.uid.is_root() {
        return Ok(());
    }
    // Whatever root's script had open is not for the user, who may look into this process from now on.
    close_others(kept, -1);
    let cannot = |e| Error::io(format!("cannot become user '{who}'"), e);
    let groups = groups(&user).map_err(cannot)?;
    setgroups(&groups).map_err(cannot)?;
    setresgid(user.gid, user.gid, user.gid).map_err(cannot)?;
    setresuid(user.uid, user.uid, user.uid).map_err(cannot)?;
    if !is_only(&user) || nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        // With ids of unknown owners nothing more may be done.
        std::process::abort();
    }
    // The kernel gave /proc/self to root when the ids changed; the loader writes its OOM score there.
    prctl::set_dumpable(true).map_err(cannot)
}

fn find(who: &str) -> Result<User> {
    let found = match who.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(who),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(Error::new(Kind::NotFound, format!("there is no user '{who}'")).about(who)),
        Err(errno) => Err(Error::io(format!("cannot look up user '{who}'"), errno)),
    }
}

fn groups(user: &User) -> nix::Result<Vec<Gid>> {
    let name = std::ffi::CString::new(user.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    getgrouplist(&name, user.gid)
}

/// Whether real, effective and saved ids are all the user's.
fn is_only(user: &User) -> bool {
    let uids = getresuid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.uid; 3]);
    uids && getresgid().is_ok_and(|ids| [ids.real, ids.effective, ids.saved] == [user.gid; 3])
}

fn not_root(who: &str) -> Error {
    Error::new(Kind::Permission, format!("only root can load as user '{who}'"))
        .about(who)
        .with_hint("leave --as-user out, or let the prolog run it as root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_not_found() {
        for who in ["no such user", "4294967294"] {
            assert_eq!(become_user(who, &[]).unwrap_err().kind(), Kind::NotFound);
        }
    }

    #[test]
    fn who_is_that_user_already_stays_so() {
        let mine = Uid::effective().as_raw().to_string();
        become_user(&mine, &[]).unwrap();
        assert_eq!(Uid::effective().as_raw().to_string(), mine);
    }
}
