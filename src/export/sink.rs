//! Where an export goes: a regular file, replaced only when the new one is whole, or a stream.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::copy::Spot;
use super::source::Source;
use super::{Advance, PIECE, copy, durable};
use crate::error::{Error, Kind, Result};

/// Something that takes bytes one after the other.
#[derive(Debug)]
pub struct Sink {
    file: File,
    shown: String,
    seekable: bool,
    written: u64,
}

impl Sink {
    /// Appends bytes.
    ///
    /// # Errors
    /// As the system says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|e| Error::io(format!("cannot write '{}'", self.shown), e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes room for `bytes` more, where that can be done.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn make_room(&self, bytes: u64, advance: Advance) -> Result<()> {
        match self.seekable {
            true => copy::make_room(self.spot(), bytes, advance),
            false => Ok(()),
        }
    }

    /// Appends all bytes of a source.
    ///
    /// # Errors
    /// As the system says; what `advance` fails with.
    pub(super) fn append(&mut self, source: &Source, advance: Advance) -> Result<()> {
        if !self.seekable {
            return self.stream_pieces(source, &mut |_| {}, advance);
        }
        copy::copy(source, self.spot(), advance)?;
        self.written += source.bytes();
        std::io::Seek::seek(&mut self.file, std::io::SeekFrom::Start(self.written))
            .map(|_| ())
            .map_err(|e| Error::io(format!("cannot write '{}'", self.shown), e))
    }

    /// Appends all bytes of a source one piece after the other, each as `change` leaves it.
    ///
    /// # Errors
    /// As for [`Self::append`].
    pub(super) fn stream_pieces(
        &mut self,
        source: &Source,
        change: &mut dyn FnMut(&mut [u8]),
        advance: Advance,
    ) -> Result<()> {
        let (mut piece, mut field) = (vec![0_u8; PIECE], Vec::new());
        let mut done = 0;
        while done < source.bytes() {
            let left = usize::try_from(source.bytes() - done).unwrap_or(PIECE).min(PIECE);
            source.read_at(done, &mut piece[..left], &mut field)?;
            change(&mut piece[..left]);
            self.write(&piece[..left])?;
            done += left as u64;
            advance(left as u64)?;
        }
        Ok(())
    }

    fn spot(&self) -> Spot<'_> {
        Spot { file: &self.file, shown: &self.shown, offset: self.written }
    }

    /// How many bytes there are.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether what was written can be changed afterwards.
    pub fn is_seekable(&self) -> bool {
        self.seekable
    }

    /// Changes bytes that were written before.
    ///
    /// # Errors
    /// As the system says.
    pub fn patch(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| Error::io(format!("cannot write '{}'", self.shown), e))
    }
}

/// Where an export goes.
#[derive(Debug)]
pub enum Target {
    /// A regular file, written beside its final name until [`Target::finish`].
    File(Temporary),
    /// Standard output, a pipe, a device.
    Stream(Sink),
}

/// A file under a temporary name; removed unless it is finished.
#[derive(Debug)]
pub struct Temporary {
    sink: Sink,
    path: PathBuf,
    place: PathBuf,
    replace: bool,
    finished: bool,
}

impl Target {
    /// Standard output.
    ///
    /// # Errors
    /// As the system says.
    pub fn stdout() -> Result<Self> {
        use std::os::fd::AsFd as _;
        let file = std::io::stdout().as_fd().try_clone_to_owned();
        let file = file.map_err(|e| Error::io("cannot write to standard output", e))?;
        Ok(Self::Stream(Sink::stream(file.into(), "standard output".to_owned())))
    }

    /// The file at `place`: nothing of that name is touched until [`Target::finish`]. What is there
    /// and no regular file is written into.
    ///
    /// # Errors
    /// [`Kind::Exists`] for a file that is there, unless it may be replaced; as the system says.
    pub fn open(place: &Path, replace: bool) -> Result<Self> {
        let shown = place.display().to_string();
        let cannot =
            |e| Error::io(format!("cannot write '{shown}'"), e).with_subject(shown.clone());
        match fs::metadata(place) {
            Ok(there) if there.is_dir() => {
                let message = format!("'{shown}' is a directory");
                Err(Error::new(Kind::Usage, message).with_subject(shown))
            }
            Ok(there) if !there.is_file() => {
                let file = OpenOptions::new().write(true).open(place).map_err(cannot)?;
                Ok(Self::Stream(Sink::stream(file, shown)))
            }
            Ok(_) if !replace => {
                let message = format!("'{shown}' exists already");
                let hint = "use --overwrite to replace it";
                Err(Error::new(Kind::Exists, message).with_subject(shown).with_hint(hint))
            }
            Ok(there) => {
                // A link keeps its name; what it leads to is replaced.
                let real = fs::canonicalize(place).map_err(cannot)?;
                let made = Temporary::make(&real, true)?;
                let permissions = fs::Permissions::from_mode(there.permissions().mode() & 0o7777);
                made.sink.file.set_permissions(permissions).map_err(cannot)?;
                Ok(Self::File(made))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Temporary::make(place, replace).map(Self::File)
            }
            Err(e) => Err(cannot(e)),
        }
    }

    /// Whether the bytes go where they cannot be taken back.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Where to write.
    pub fn sink(&mut self) -> &mut Sink {
        match self {
            Self::File(temporary) => &mut temporary.sink,
            Self::Stream(sink) => sink,
        }
    }

    /// For a format that needs a file of its own: `write` gets its path, and the open file. For a
    /// stream that is a temporary one, without a name after it was opened, copied afterwards.
    ///
    /// # Errors
    /// What `write` fails with; as the system says.
    pub(super) fn with_file<T>(
        &mut self,
        write: impl FnOnce(&Path, Spot) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::File(temporary) => write(&temporary.path, temporary.sink.spot()),
            Self::Stream(sink) => {
                let place = std::env::temp_dir().join("cute-shm-export");
                let mut made = Temporary::make(&place, true)?;
                let done = write(&made.path, Spot { shown: &sink.shown, ..made.sink.spot() })?;
                let cannot = |e| Error::io(format!("cannot write '{}'", sink.shown), e);
                std::io::Seek::rewind(&mut made.sink.file).map_err(cannot)?;
                std::io::copy(&mut made.sink.file, &mut sink.file).map_err(cannot)?;
                Ok(done)
            }
        }
    }

    /// Makes the file what its name leads to; where it replaces another, once its bytes are on the
    /// disk. Returns its size.
    ///
    /// # Errors
    /// As the system says; [`Kind::Exists`] when somebody made one meanwhile; what `advance` fails with.
    pub fn finish(self, advance: Advance) -> Result<u64> {
        match self {
            Self::File(temporary) => temporary.finish(advance),
            Self::Stream(sink) => Ok(sink.written),
        }
    }
}

impl Sink {
    fn stream(file: File, shown: String) -> Self {
        Self { file, shown, seekable: false, written: 0 }
    }
}

impl Temporary {
    fn make(place: &Path, replace: bool) -> Result<Self> {
        let shown = place.display().to_string();
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random)
            .map_err(|e| Error::new(Kind::Io, format!("the kernel gives no random bytes: {e}")))?;
        let letters = format!("{:016x}", u64::from_ne_bytes(random));
        // A long name with a suffix might be too long for the file system.
        let short: String = name.chars().take(32).collect();
        let path = place.with_file_name(format!(".{short}.{letters}.tmp"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o666)
            .open(&path)
            .map_err(|e| {
                Error::io(format!("cannot write '{shown}'"), e).with_subject(shown.clone())
            })?;
        let sink = Sink { file, shown, seekable: true, written: 0 };
        Ok(Self { sink, path, place: place.to_owned(), replace, finished: false })
    }

    fn finish(mut self, advance: Advance) -> Result<u64> {
        let shown = self.sink.shown.clone();
        let cannot =
            |e| Error::io(format!("cannot write '{shown}'"), e).with_subject(shown.clone());
        let size = self.sink.file.metadata().map_err(cannot)?.len();
        let replaces = self.replace && self.place.exists();
        match replaces {
            true => durable::to_disk(&self.sink.file, size, advance)?.map_err(cannot)?,
            false => durable::close(&self.sink.file).map_err(cannot)?,
        }
        if self.replace {
            fs::rename(&self.path, &self.place).map_err(cannot)?;
        } else {
            // A link, unlike a rename, fails when somebody made the file meanwhile.
            match fs::hard_link(&self.path, &self.place) {
                Ok(()) => fs::remove_file(&self.path).map_err(cannot)?,
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    let message = format!("'{shown}' was made by somebody else meanwhile");
                    return Err(Error::new(Kind::Exists, message).with_subject(shown.clone()));
                }
                // Some file systems have no hard links.
                Err(_) => fs::rename(&self.path, &self.place).map_err(cannot)?,
            }
        }
        self.finished = true;
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|_| replaces) {
            // The name may be lost in a power failure; the bytes of either file are not.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(size)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_only_when_it_is_whole() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("a.npy");
        let mut target = Target::open(&place, false).unwrap();
        target.sink().write(b"abc").unwrap();
        assert!(!place.exists());
        assert_eq!(target.finish(&mut |_| Ok(())).unwrap(), 3);
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn a_failed_export_leaves_the_old_file_and_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("a.npy");
        fs::write(&place, "old").unwrap();
        assert_eq!(Target::open(&place, false).unwrap_err().kind(), Kind::Exists);
        let mut target = Target::open(&place, true).unwrap();
        target.sink().write(b"new").unwrap();
        drop(target);
        assert_eq!(fs::read(&place).unwrap(), b"old");
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn a_file_made_meanwhile_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("a.npy");
        let target = Target::open(&place, false).unwrap();
        fs::write(&place, "theirs").unwrap();
        assert_eq!(target.finish(&mut |_| Ok(())).unwrap_err().kind(), Kind::Exists);
        assert_eq!(fs::read(&place).unwrap(), b"theirs");
        assert_eq!(names(temp.path()), ["a.npy"]);
    }

    #[test]
    fn a_link_keeps_its_name_and_a_device_is_written_into() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut target = Target::open(&link, true).unwrap();
        target.sink().write(b"new").unwrap();
        target.finish(&mut |_| Ok(())).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(Target::open(Path::new("/dev/null"), false).unwrap().is_stream());
    }
}
