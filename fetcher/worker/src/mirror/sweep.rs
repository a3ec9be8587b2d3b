//! Removes the files that a killed process leaves in a mirror, and finds packs that a crash has truncated (rule 31).

use std::fs::{self, DirEntry, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{MirrorError, at};

/// The prefix of a directory in which a pack is received.
pub(super) const INCOMING: &str = "incoming-";

/// The deepest directory below `refs/` that is searched for locks; the mirror's refs are two deep.
const DEEPEST: usize = 16;

/// Length of the trailer of a pack or an index: the SHA-1 of the bytes before it.
const TRAILER: usize = 20;

/// Removes stale locks and half-received packs below the mirror. Links are never followed.
pub(super) fn sweep(mirror: &Path) -> Result<(), MirrorError> {
    locks(mirror, 0)?;
    locks(&mirror.join("refs"), DEEPEST)?;
    for entry in entries(mirror)? {
        if name(&entry).starts_with(INCOMING) {
            remove(&entry)?;
        }
    }
    for entry in entries(&mirror.join("objects/pack"))? {
        let name = name(&entry);
        if name.starts_with("pack_git2_") || name.starts_with("tmp_") || name.ends_with(".lock") {
            remove(&entry)?;
        }
    }
    Ok(())
}

fn locks(directory: &Path, depth: usize) -> Result<(), MirrorError> {
    for entry in entries(directory)? {
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        if is_dir && depth > 0 {
            locks(&entry.path(), depth - 1)?;
        } else if !is_dir && name(&entry).ends_with(".lock") {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Compares the pack's trailer that each index names with the trailer of the pack itself: a truncated pack, or a
/// pack whose end never reached the disk, does not pass. Damage in the middle is found when an object is read.
pub(super) fn check_packs(mirror: &Path) -> Result<(), MirrorError> {
    for index in indexes(&mirror.join("objects/pack"))? {
        let pack = index.with_extension("pack");
        // An index ends in the trailer of its pack, followed by its own.
        let same = tail(&index, 2 * TRAILER).and_then(|index| {
            let pack = tail(&pack, TRAILER)?;
            Ok(index.starts_with(&pack) && pack.iter().any(|&byte| byte != 0))
        });
        let why = match same {
            Ok(true) => continue,
            Ok(false) => "it does not fit its index".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(MirrorError::Broken {
            path: mirror.to_owned(),
            why: format!("pack {}: {why}", index.display()),
        });
    }
    Ok(())
}

/// Returns the indexes of the packs in `directory`.
pub(super) fn indexes(directory: &Path) -> Result<Vec<PathBuf>, MirrorError> {
    let packs = entries(directory)?;
    let paths = packs.iter().map(DirEntry::path);
    Ok(paths
        .filter(|path| path.extension().is_some_and(|e| e == "idx"))
        .collect())
}

/// Returns the last `length` bytes of a file.
pub(super) fn tail(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-i64::try_from(length).unwrap_or(i64::MAX)))?;
    let mut bytes = Vec::with_capacity(length);
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns a directory's entries; none if there is no directory.
fn entries(directory: &Path) -> Result<Vec<DirEntry>, MirrorError> {
    match fs::read_dir(directory) {
        Ok(entries) => entries
            .collect::<Result<_, _>>()
            .map_err(at("read", directory)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(at("read", directory)(error)),
    }
}

fn remove(entry: &DirEntry) -> Result<(), MirrorError> {
    let path = entry.path();
    let removed = match entry.file_type() {
        Ok(t) if t.is_dir() => fs::remove_dir_all(&path),
        _ => fs::remove_file(&path),
    };
    removed.map_err(at("remove", &path))
}

fn name(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}
