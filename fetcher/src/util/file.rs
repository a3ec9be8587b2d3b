//! Opening files that others can replace.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a regular file for reading; `None` if `path` leads to another kind of file. A FIFO in place of the file does
/// not make the opening wait.
///
/// # Errors
/// The error of the operating system.
pub(crate) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Opens a regular file as [`open_regular`] does; another kind of file is an error.
///
/// # Errors
/// The error of the operating system, or the file is no regular one.
pub(crate) fn need_regular(path: &Path) -> io::Result<File> {
    open_regular(path)?.ok_or_else(|| io::Error::other("it is no regular file"))
}
