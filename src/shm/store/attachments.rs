//! The processes that have segments mapped, from /proc: for display, never for a decision.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use crate::os::directory::FileId;
use crate::os::threads;
use crate::shm::store::node_dirs::NodeDirs;
use crate::shm::store::removal::Removed;
use crate::shm::store::state::Project;

/// The longest time that reading /proc takes. The mappings of a process cannot be read while a page fault of it
/// waits, for example for a file server.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The mappings of all processes that this process may inspect.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    by_inode: HashMap<u64, BTreeSet<u32>>,
    /// Processes of other users could not be read.
    blind: bool,
    /// The time limit was reached.
    incomplete: bool,
}

/// Messages of the thread that reads /proc.
enum Found {
    /// A process has files of the shm directory mapped: their inodes.
    Mapped(u32, Vec<u64>),
    /// The mappings of a process of another user could not be read.
    Hidden,
}

impl Attachments {
    /// Reads the mappings of every process. Processes that cannot be read within two seconds are hidden.
    pub(crate) fn read(dirs: &NodeDirs) -> Self {
        let device = device(dirs.shm.id());
        // The thread is not joined: it may wait for a process that hangs, and ends with this process.
        Self::collect(TIME_LIMIT, move |sender| read_processes(&device, &sender))
    }

    /// Collects the messages of `read`, which runs in a thread of its own, for at most `limit`.
    fn collect(limit: Duration, read: impl FnOnce(Sender<Found>) + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        match threads::start(|| read(sender)) {
            Ok(()) => Self::receive(limit, &receiver),
            Err(_) => Self { incomplete: true, ..Self::default() },
        }
    }

    fn receive(limit: Duration, receiver: &Receiver<Found>) -> Self {
        let mut attached = Self::default();
        let begun = Instant::now();
        loop {
            match receiver.recv_timeout(limit.saturating_sub(begun.elapsed())) {
                Ok(Found::Mapped(pid, inodes)) => {
                    for inode in inodes {
                        attached.by_inode.entry(inode).or_default().insert(pid);
                    }
                }
                Ok(Found::Hidden) => attached.blind = true,
                Err(RecvTimeoutError::Disconnected) => return attached,
                Err(RecvTimeoutError::Timeout) => return Self { incomplete: true, ..attached },
            }
        }
    }

    /// The processes that have any segment of `project` mapped; `None` if some may be hidden.
    pub(crate) fn to_project(&self, project: &Project) -> Option<Vec<u32>> {
        let inodes =
            project.present.values().chain(project.leftovers.values()).map(|stat| stat.ino);
        let pids: BTreeSet<u32> =
            inodes.filter_map(|ino| self.by_inode.get(&ino)).flatten().copied().collect();
        let shared = project.file.as_ref().is_some_and(|file| file.mode & 0o077 != 0);
        let others = shared || project.uid != Uid::effective().as_raw();
        let hidden = self.incomplete || (self.blind && others);
        (!hidden || !pids.is_empty()).then(|| pids.into_iter().collect())
    }

    /// The processes that still have removed segments mapped, and the bytes of these segments.
    pub(crate) fn to_removed(&self, removed: &[Removed]) -> (u64, BTreeSet<u32>) {
        let mut kept = 0;
        let mut pids = BTreeSet::new();
        for segment in removed {
            if let Some(users) = self.by_inode.get(&segment.file.ino) {
                kept += segment.bytes;
                pids.extend(users);
            }
        }
        (kept, pids)
    }
}

fn read_processes(device: &[u8], sender: &Sender<Found>) {
    let Ok(processes) = fs::read_dir("/proc") else {
        let _ = sender.send(Found::Hidden);
        return;
    };
    let own = std::process::id();
    let mut maps = Vec::new();
    for entry in processes.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == own {
            continue;
        }
        maps.clear();
        let file = File::open(entry.path().join("maps"));
        let found = match file.and_then(|mut file| file.read_to_end(&mut maps)) {
            Ok(_) => Found::Mapped(pid, inodes(&maps, device)),
            // A process of another user may have a segment mapped that is shared with its user.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied
                    && entry.metadata().is_ok_and(|s| s.uid() != Uid::effective().as_raw()) =>
            {
                Found::Hidden
            }
            Err(_) => continue,
        };
        if sender.send(found).is_err() {
            return;
        }
    }
}

/// The inodes of the mapped files on `device`, from the text of /proc/PID/maps.
fn inodes(maps: &[u8], device: &[u8]) -> Vec<u64> {
    let inode = |line: &[u8]| {
        // proc(5): address perms offset dev inode path
        let mut fields = line.splitn(6, |&byte| byte == b' ').skip(3);
        if fields.next() != Some(device) {
            return None;
        }
        str::from_utf8(fields.next()?).ok()?.parse().ok()
    };
    maps.split(|&byte| byte == b'\n').filter_map(inode).collect()
}

/// A device in the format of /proc: `major:minor` in hexadecimal.
fn device(id: FileId) -> Vec<u8> {
    let (major, minor) = (nix::sys::stat::major(id.dev), nix::sys::stat::minor(id.dev));
    format!("{major:02x}:{minor:02x}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_hangs_does_not_delay_the_others() {
        let (end, waiting) = channel::<()>();
        let attached = Attachments::collect(Duration::from_millis(50), move |sender| {
            sender.send(Found::Mapped(7, vec![1, 2])).unwrap();
            let _ = waiting.recv();
            drop(sender);
        });
        assert_eq!(attached.by_inode.len(), 2);
        assert!(attached.incomplete);
        drop(end);
    }

    #[test]
    fn inodes_are_those_of_the_device() {
        let maps = b"00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/a\n\
            7f00-7f01 r--s 00000000 00:1b 42 /dev/shm/cute-shm.p.aaaaa00000 (deleted)\n";
        assert_eq!(inodes(maps, b"00:1b"), [42]);
        assert_eq!(inodes(maps, b"08:02"), [173_521]);
    }
}
