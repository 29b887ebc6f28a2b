//! Which processes have segments mapped, from /proc: to tell people, never to decide.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::Uid;

use super::directory::FileId;
use super::place::Place;
use super::removal::Removed;
use super::state::Project;

/// The mappings of all processes that we may look at.
#[derive(Debug, Default)]
pub struct Attached {
    by_inode: HashMap<u64, BTreeSet<u32>>,
    blind: bool,
}

impl Attached {
    /// Looks at every process for mappings of files in this shm directory.
    pub fn look(place: &Place) -> Self {
        let mut attached = Self::default();
        let Ok(processes) = fs::read_dir("/proc") else {
            attached.blind = true;
            return attached;
        };
        let device = device(place.shm.id());
        let own = std::process::id();
        let mut maps = Vec::new();
        for entry in processes.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
            else {
                continue;
            };
            if pid == own {
                continue;
            }
            maps.clear();
            let file = File::open(entry.path().join("maps"));
            match file.and_then(|mut file| file.read_to_end(&mut maps)) {
                Ok(_) => attached.add(pid, &maps, &device),
                // Another user's process: it could have a segment that is shared with its user.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    let others =
                        entry.metadata().is_ok_and(|s| s.uid() != Uid::effective().as_raw());
                    attached.blind |= others;
                }
                Err(_) => {}
            }
        }
        attached
    }

    fn add(&mut self, pid: u32, maps: &[u8], device: &[u8]) {
        for line in maps.split(|&byte| byte == b'\n') {
            // proc(5): address perms offset dev inode path
            let mut fields = line.splitn(6, |&byte| byte == b' ').skip(3);
            if fields.next() != Some(device) {
                continue;
            }
            let inode = fields.next().and_then(|inode| str::from_utf8(inode).ok());
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok()) {
                self.by_inode.entry(inode).or_default().insert(pid);
            }
        }
    }

    /// The processes that have any segment of `project`; `None` when some may be hidden from us.
    pub fn to_project(&self, project: &Project) -> Option<Vec<u32>> {
        let inodes =
            project.present.values().chain(project.leftovers.values()).map(|stat| stat.ino);
        let pids: BTreeSet<u32> =
            inodes.filter_map(|ino| self.by_inode.get(&ino)).flatten().copied().collect();
        let shared = project.file.as_ref().is_some_and(|file| file.mode & 0o077 != 0);
        let hidden = self.blind && (shared || project.uid != Uid::effective().as_raw());
        (!hidden || !pids.is_empty()).then(|| pids.into_iter().collect())
    }

    /// The processes that still have removed segments, with the bytes that they keep.
    pub fn to_removed(&self, removed: &[Removed]) -> (u64, BTreeSet<u32>) {
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

/// A device as /proc writes it: `major:minor` in hexadecimal.
fn device(id: FileId) -> Vec<u8> {
    let (major, minor) = (nix::sys::stat::major(id.dev), nix::sys::stat::minor(id.dev));
    format!("{major:02x}:{minor:02x}").into_bytes()
}
