//! Notifies the service manager and the reader of `--ready-fd` that a project is ready.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::error::{Error, Result};

/// Limits the time in sendmsg(2): a service manager that does not read must not block the load.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Notifies the service manager, if `NOTIFY_SOCKET` is set, like sd_notify(3).
///
/// # Errors
/// Returns an I/O error if the socket cannot be written.
pub(crate) fn notify() -> Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let failed = |e| Error::io("cannot notify the service manager (NOTIFY_SOCKET)", e);
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    socket.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
    let message = format!("READY=1\nMAINPID={}\n", std::process::id());
    address
        .and_then(|address| socket.send_to_addr(message.as_bytes(), &address))
        .map_err(failed)?;
    Ok(())
}

/// Writes a line to the descriptor that `--ready-fd` names, and closes it.
///
/// # Errors
/// Returns an error if the line cannot be written: EPIPE if its reader has exited.
pub(crate) fn write_line(mut file: File) -> Result<()> {
    file.write_all(b"ready\n")
        .map_err(|e| Error::io("cannot write to the descriptor of --ready-fd", e))
}
