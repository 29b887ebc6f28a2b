//! The mounted file systems, from `/proc/self/mountinfo`. Source: proc_pid_mountinfo(5).

/// A mounted file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount<'a> {
    /// `major:minor` of its device.
    pub device: &'a str,
    /// Where it is mounted.
    pub path: &'a str,
    /// The type of the file system.
    pub kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    /// Parses the text of the file. The last mount on a path hides the earlier ones.
    pub(crate) fn parse_all(text: &'a str) -> impl DoubleEndedIterator<Item = Self> {
        text.lines().filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let (mut mount, mut file_system) = (mount.split(' '), file_system.split(' '));
            let (device, path) = (mount.nth(2)?, mount.nth(1)?);
            let (kind, options) = (file_system.next()?, file_system.nth(1)?);
            Some(Self { device, path, kind, options })
        })
    }

    /// The options of the file system: `name` or `name=value`.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'a str> {
        self.options.split(',')
    }

    /// The value of the option `huge`, which decides about huge pages of a tmpfs.
    pub(crate) fn huge(&self) -> Option<&'a str> {
        self.options().find_map(|option| option.strip_prefix("huge="))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_and_without_optional_fields_are_parsed() {
        let text = "22 1 0:5 / /dev/shm rw - tmpfs tmpfs rw,size=1k,huge=advise\n\
                    23 1 0:6 / /x rw shared:1 master:2 - cgroup cgroup rw,memory\nnoise\n";
        let mounts: Vec<_> = Mount::parse_all(text).collect();
        let shown: Vec<_> = mounts.iter().map(|m| (m.device, m.path, m.kind, m.huge())).collect();
        let first = ("0:5", "/dev/shm", "tmpfs", Some("advise"));
        assert_eq!(shown, [first, ("0:6", "/x", "cgroup", None)]);
        assert!(mounts[1].options().any(|option| option == "memory"));
    }
}
