//! The limits on memory for segments: the shm file system, the node, the cgroups and the address space. A load checks
//! them before it creates the first segment.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Kind, Result};
use crate::os::directory::Directory;
use crate::os::limits;
use crate::os::mounts::Mount;
use crate::os::page_size::page_size;

/// A limit and the memory that is free under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Bound {
    /// The name of the limit.
    pub what: String,
    /// Free bytes.
    pub free_bytes: u64,
    /// Which memory it limits.
    #[serde(skip)]
    #[cfg_attr(test, schemars(skip))]
    pub scope: Scope,
}

/// Which memory a [`Bound`] limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    /// Memory of the segments.
    Segments,
    /// Memory of the segments and of the loader.
    #[default]
    All,
    /// Memory of the loader.
    Loader,
}

impl Bound {
    /// The part of `need` that this limit applies to.
    fn needed(&self, need: Need) -> u64 {
        match self.scope {
            Scope::Segments => need.bytes,
            Scope::All => need.bytes.saturating_add(need.decoding_bytes),
            Scope::Loader => need.decoding_bytes,
        }
    }
}

/// The memory that a load needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Bytes of the segments, each rounded up to pages.
    pub bytes: u64,
    /// Number of segments.
    pub segments: u64,
    /// Memory of the loader for decoding, in bytes.
    pub decoding_bytes: u64,
}

impl Need {
    /// The need of segments of these sizes.
    pub(crate) fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        let none = Self { bytes: 0, segments: 0, decoding_bytes: 0 };
        let page = page_size();
        sizes.into_iter().fold(none, |sum, size| Self {
            bytes: sum.bytes.saturating_add(size.max(1).div_ceil(page).saturating_mul(page)),
            segments: sum.segments + 1,
            decoding_bytes: 0,
        })
    }

    /// Adds the memory for decoding.
    #[must_use]
    pub(crate) fn decoding_in(self, decoding_bytes: u64) -> Self {
        Self { decoding_bytes, ..self }
    }

    /// The lowest limit: the one with the least free memory after the load. The flag is true if the load fits.
    pub(crate) fn binding(self, bounds: &[Bound]) -> Option<(&Bound, bool)> {
        let left = |bound: &&Bound| {
            i128::from(bound.free_bytes).saturating_sub(i128::from(bound.needed(self)))
        };
        let bound = bounds.iter().min_by_key(left)?;
        Some((bound, bound.needed(self) <= bound.free_bytes))
    }
}

/// Every limit on shared memory, the lowest first.
pub(crate) fn bounds(shm: &Directory) -> Vec<Bound> {
    let mut bounds: Vec<_> = [file_system(shm), available()]
        .into_iter()
        .flatten()
        .chain(cgroups(Path::new("/")))
        .chain(address_space())
        .collect();
    bounds.sort_by_key(|bound| bound.free_bytes);
    bounds
}

/// Fails if the load does not fit.
///
/// # Errors
/// Returns [`Kind::NoMemory`] with the need, the free memory, the lowest limit and a hint.
pub(crate) fn check(shm: &Directory, need: Need) -> Result<()> {
    if let Some(free) = free_inodes(shm)
        && free < need.segments.saturating_add(2)
    {
        let shown = shm.path().display();
        let message =
            format!("not enough inodes in '{shown}': {} needed, {free} free", need.segments);
        return Err(Error::new(Kind::NoMemory, message)
            .with_hint(format!("mount -o remount,nr_inodes=N '{shown}', or load fewer arrays")));
    }
    let bounds = bounds(shm);
    let Some((bound, false)) = need.binding(&bounds) else { return Ok(()) };
    let size = |bytes| humansize::format_size(bytes, humansize::BINARY);
    let (needed, free, what) = (size(bound.needed(need)), size(bound.free_bytes), &bound.what);
    let decoding = match (bound.scope, need.decoding_bytes) {
        (Scope::Segments, _) | (_, 0) => String::new(),
        (_, bytes) => format!(", {} of it to decode chunks", size(bytes)),
    };
    Err(Error::new(
        Kind::NoMemory,
        format!("not enough memory: {needed} needed{decoding}, {free} free ({what})"),
    )
    .with_hint(
        "free some with 'cute-shm unlink PROJECT' or 'cute-shm gc', load less with --include, or \
             raise the limit (mount -o remount,size=..., --shm-size, --mem)",
    ))
}

fn file_system(shm: &Directory) -> Option<Bound> {
    let fs = nix::sys::statvfs::fstatvfs(shm).ok()?;
    // A tmpfs without a size limit reports zero blocks.
    if fs.blocks() == 0 {
        return None;
    }
    let free_bytes = fs.blocks_available().saturating_mul(fs.fragment_size());
    let what = format!("the file system of '{}'", shm.path().display());
    Some(Bound { what, free_bytes, scope: Scope::Segments })
}

/// The free addresses of this process under `ulimit -v`.
fn address_space() -> Option<Bound> {
    let free_bytes = limits::free_addresses()?;
    Some(Bound {
        what: "limit of addresses (ulimit -v)".to_owned(),
        free_bytes,
        scope: Scope::Loader,
    })
}

fn free_inodes(shm: &Directory) -> Option<u64> {
    let fs = nix::sys::statvfs::fstatvfs(shm).ok()?;
    (fs.files() > 0).then(|| fs.files_available())
}

fn available() -> Option<Bound> {
    let what = "memory of the node".to_owned();
    Some(Bound { what, free_bytes: available_bytes()?, scope: Scope::All })
}

/// The memory of the node that new programs can use without swapping, in bytes.
pub(crate) fn available_bytes() -> Option<u64> {
    meminfo(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")
}

/// A number of `/proc/meminfo`, or of the `meminfo` of a NUMA node, in bytes.
pub(crate) fn meminfo(text: &str, field: &str) -> Option<u64> {
    let field = format!("{field}:");
    let mut words = text.lines().find(|line| line.contains(&field))?.split_whitespace();
    words.by_ref().find(|word| *word == field)?;
    words.next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The memory limits of this process's cgroup and all its ancestors, below `root` (`/`).
pub(crate) fn cgroups(root: &Path) -> Vec<Bound> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (own, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut bounds = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let files = match controllers {
            "" => V2,
            _ if controllers.split(',').any(|name| name == "memory") => V1,
            _ => continue,
        };
        if let Some(mount) = files.mount_point(&mounts) {
            bounds.extend(files.bounds(&root.join(mount.trim_start_matches('/')), path));
        }
    }
    bounds
}

/// The files of one version of cgroups. Source: the kernel's cgroup-v1/memory and cgroup-v2 documents.
struct Files {
    kind: &'static str,
    option: Option<&'static str>,
    limit: &'static str,
    usage: &'static str,
    prefix: &'static str,
}

const V2: Files = Files {
    kind: "cgroup2",
    option: None,
    limit: "memory.max",
    usage: "memory.current",
    prefix: "",
};
const V1: Files = Files {
    kind: "cgroup",
    option: Some("memory"),
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    prefix: "total_",
};

impl Files {
    fn mount_point<'a>(&self, mounts: &'a str) -> Option<&'a str> {
        let has = |mount: &Mount<'_>, name| mount.options().any(|option| option == name);
        let fits = |mount: &Mount<'_>| {
            mount.kind == self.kind && self.option.is_none_or(|name| has(mount, name))
        };
        Mount::parse_all(mounts).find(fits).map(|mount| mount.path)
    }

    fn bounds(&self, mount: &Path, path: &str) -> Vec<Bound> {
        let mut group: PathBuf = mount.join(path.trim_start_matches('/'));
        // In a container the path may be one of the host's: then the mount shows our own group.
        if path.contains("..") || !group.is_dir() {
            mount.clone_into(&mut group);
        }
        let mut bounds = Vec::new();
        while group.starts_with(mount) {
            bounds.extend(self.bound(&group));
            if !group.pop() {
                break;
            }
        }
        bounds
    }

    fn bound(&self, group: &Path) -> Option<Bound> {
        let number = |name: &str| -> Option<u64> {
            fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
        };
        // "max" is not a number. Version 1 writes a huge one.
        let limit = number(self.limit).filter(|limit| *limit < 1 << 62)?;
        let usage = number(self.usage)?;
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = |name: &str| -> u64 {
            let name = format!("{}{name} ", self.prefix);
            let value = stat.lines().find_map(|line| line.strip_prefix(&name));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let free = limit.saturating_sub(usage);
        let free_bytes = free
            .saturating_add(cached("inactive_file"))
            .saturating_add(cached("active_file"))
            .min(limit);
        let what = format!("memory limit of cgroup '{}'", group.display());
        Some(Bound { what, free_bytes, scope: Scope::All })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_rounded_to_pages() {
        let page = page_size();
        let need = Need::of([0, 1, page, page + 1]);
        assert_eq!(need, Need { bytes: 5 * page, segments: 4, decoding_bytes: 0 });
        assert_eq!(Need::of([u64::MAX, 1]).bytes, u64::MAX);
    }

    #[test]
    fn too_much_names_the_limit_and_the_way_out() {
        let temp = tempfile::tempdir().unwrap();
        let shm = Directory::open(temp.path()).unwrap();
        let error =
            check(&shm, Need { bytes: u64::MAX, segments: 1, decoding_bytes: 0 }).unwrap_err();
        assert_eq!(error.kind(), Kind::NoMemory);
        assert!(error.to_string().contains("free ("), "{error}");
        assert!(error.hint().unwrap().contains("unlink"));
        check(&shm, Need { bytes: 1, segments: 1, decoding_bytes: 0 }).unwrap();
    }

    #[test]
    fn memory_to_decode_in_counts_where_the_loader_takes_it() {
        let bound =
            |what: &str, free_bytes, scope| Bound { what: what.to_owned(), free_bytes, scope };
        let bounds = [
            bound("tmpfs", 100, Scope::Segments),
            bound("node", 150, Scope::All),
            bound("ulimit", 60, Scope::Loader),
        ];
        let binding = |bytes, decoding_bytes| {
            let need = Need { bytes, segments: 1, decoding_bytes };
            need.binding(&bounds).map(|(bound, fits)| (bound.what.as_str(), fits)).unwrap()
        };
        assert_eq!(binding(100, 50), ("tmpfs", true));
        assert_eq!(binding(101, 0), ("tmpfs", false));
        assert_eq!(binding(100, 51), ("node", false));
        assert_eq!(binding(0, 61), ("ulimit", false));
    }

    fn node(files: &[(&str, &str)]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        temp
    }

    #[test]
    fn every_ancestor_of_a_v2_group_counts() {
        let node = node(&[
            ("proc/self/cgroup", "0::/job/step\n"),
            ("proc/self/mountinfo", "30 23 0:26 / /cg rw shared:4 - cgroup2 cgroup2 rw\n"),
            ("cg/job/memory.max", "1000\n"),
            ("cg/job/memory.current", "700\n"),
            ("cg/job/memory.stat", "anon 1\ninactive_file 50\nactive_file 30\n"),
            ("cg/job/step/memory.max", "max\n"),
            ("cg/job/step/memory.current", "10\n"),
        ]);
        let found = cgroups(node.path());
        assert_eq!(found.iter().map(|bound| bound.free_bytes).collect::<Vec<_>>(), [380]);
        assert!(found[0].what.contains("/cg/job"), "{:?}", found[0]);
    }

    #[test]
    fn a_v1_group_is_found_by_its_controller() {
        let node = node(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n"),
            (
                "proc/self/mountinfo",
                "31 23 0:27 / /c/cpu rw - cgroup cgroup rw,cpu\n32 23 0:28 / /c/mem rw - cgroup cgroup rw,memory\n",
            ),
            ("c/mem/memory.limit_in_bytes", "9223372036854771712\n"),
            ("c/mem/memory.usage_in_bytes", "5\n"),
            ("c/mem/job/memory.limit_in_bytes", "100\n"),
            ("c/mem/job/memory.usage_in_bytes", "100\n"),
            (
                "c/mem/job/memory.stat",
                "inactive_file 1\ntotal_inactive_file 20\ntotal_active_file 0\n",
            ),
        ]);
        let found = cgroups(node.path());
        assert_eq!(found.iter().map(|bound| bound.free_bytes).collect::<Vec<_>>(), [20]);
    }
}
