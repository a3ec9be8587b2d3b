//! Opening the files of the state: only a regular file is opened, no symbolic link is followed below the
//! state's directory, and opening never blocks. Every process of the apps' user can put anything in place of
//! these files, and the reader may be another user.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Take};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

/// Mode of a file of the state: the apps' user writes it, the group may read it.
pub(crate) const FILE: u32 = 0o640;

/// Mode of a directory of the state: as [`FILE`], and new entries belong to the directory's group.
pub(crate) const DIRECTORY: u32 = 0o2750;

/// Opens the file `below` in the directory `base`, with `flags` in addition to those that forbid links and
/// blocking.
///
/// # Errors
/// The error of the kernel; a symbolic link on the path, or a file that is not a regular one, is an error of
/// its own.
pub(crate) fn open(base: &Path, below: &Path, flags: OFlag) -> io::Result<File> {
    let safe = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let way = safe | OFlag::O_DIRECTORY | OFlag::O_PATH;
    let mut directory: OwnedFd = openat(
        AT_FDCWD,
        base,
        OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = below.components().peekable();
    while let Some(Component::Normal(name)) = names.next() {
        let last = names.peek().is_none();
        let (flags, mode) = match last {
            true => (safe | flags, Mode::from_bits_truncate(FILE)),
            false => (way, Mode::empty()),
        };
        let opened = openat(&directory, name, flags, mode).map_err(explain_errno)?;
        if last {
            let file = File::from(opened);
            return match file.metadata()?.is_file() {
                true => Ok(file),
                false => Err(no_file("is no regular file")),
            };
        }
        directory = opened;
    }
    Err(no_file("is no file of the state"))
}

/// Reads the whole file `below` in the directory `base`, of at most `most` bytes.
///
/// # Errors
/// As [`open`]; or the file is larger than `most`.
pub(crate) fn read(base: &Path, below: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(base, below, OFlag::O_RDONLY)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(no_file("is larger than any that pp-fetcher writes"));
    }
    Ok(bytes)
}

/// Opens the end of a file, at most its last `most` bytes. Gives it with the number of bytes before it.
///
/// # Errors
/// As [`open`].
pub(crate) fn end(base: &Path, below: &Path, most: u64) -> io::Result<(Take<File>, u64)> {
    let mut file = open(base, below, OFlag::O_RDONLY)?;
    let before = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(before))?;
    Ok((file.take(most), before))
}

/// Opens a log file for appending, and makes it if it does not exist. The directory must be one of the state,
/// chosen by the caller.
///
/// # Errors
/// The error of the kernel; a link, a FIFO or a directory in the log's place is an error of its own.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
    let (base, name) = parts(path)?;
    open(base, name, flags)
}

/// Reads the last bytes of a log file, at most `most` of them.
///
/// # Errors
/// As [`append`]; or there is no log file.
pub(crate) fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (base, name) = parts(path)?;
    let mut bytes = Vec::new();
    end(base, name, most)?.0.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parts(path: &Path) -> io::Result<(&Path, &Path)> {
    let name = path.file_name().map(Path::new);
    path.parent()
        .zip(name)
        .ok_or_else(|| no_file("is no file of the state"))
}

fn explain_errno(error: Errno) -> io::Error {
    match error {
        Errno::ELOOP | Errno::ENOTDIR => {
            no_file("is or lies behind a symbolic link, which pp-fetcher makes none of")
        }
        Errno::ENXIO => no_file("is no regular file"),
        other => other.into(),
    }
}

fn no_file(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn rule_35_links_fifos_and_giants_are_neither_followed_nor_waited_for_nor_read() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| base.path().join(name);
        fs::create_dir(at("app")).unwrap();
        fs::write(at("app/good"), "x").unwrap();
        fs::write(at("secret"), "x").unwrap();
        symlink(at("secret"), at("app/link")).unwrap();
        symlink(at("app"), at("other")).unwrap();
        let fifo = std::process::Command::new("mkfifo")
            .arg(at("app/fifo"))
            .status();
        assert!(fifo.unwrap().success());
        File::create(at("app/giant"))
            .unwrap()
            .set_len(20 << 30)
            .unwrap();
        let read = |name: &str| read(base.path(), Path::new(name), 1000);
        assert_eq!(read("app/good").unwrap(), b"x");
        for (name, why) in [
            ("app/link", "symbolic link"),
            ("other/good", "symbolic link"),
            ("app/fifo", "no regular file"),
            ("app/giant", "larger"),
            ("app", "no regular file"),
            ("../secret", "no file of the state"),
        ] {
            let error = read(name).unwrap_err();
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
        assert_eq!(read("app/none").unwrap_err().kind(), ErrorKind::NotFound);
        let (mut tail, before) = end(base.path(), Path::new("app/giant"), 10).unwrap();
        let mut bytes = Vec::new();
        tail.read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes.len(), before), (10, (20 << 30) - 10));
    }
}
