//! Telling those who wait that a held project is ready: a service manager, or whoever opened a pipe.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::{Error, Kind, Result};

/// Tells the service manager, if there is one: sd_notify(3).
///
/// # Errors
/// When its socket cannot be written.
pub fn notify() -> Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let failed = |e| Error::io("cannot notify the service manager (NOTIFY_SOCKET)", e);
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    let message = format!("READY=1\nMAINPID={}\n", std::process::id());
    address
        .and_then(|address| socket.send_to_addr(message.as_bytes(), &address))
        .map_err(failed)?;
    Ok(())
}

/// Writes a line to the descriptor that `--ready-fd` names, and closes it.
///
/// # Errors
/// [`Kind::Usage`] when it is not open for writing.
pub fn tell(fd: i32) -> Result<()> {
    let failed = |e| Error::io(format!("cannot write to descriptor {fd} (--ready-fd)"), e);
    let path = format!("/proc/self/fd/{fd}");
    let mut file =
        OpenOptions::new().write(true).open(path).map_err(|e| failed(e).with_kind(Kind::Usage))?;
    file.write_all(b"ready\n").map_err(failed)?;
    nix::unistd::close(fd).map_err(|e| failed(e.into()))
}
