//! Whether another user can reach a file: each directory on the way has to let that user in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};

use crate::account::groups_of;

/// The permission to enter a directory, and the permission to write, as a bit of a mode's last digit.
const ENTER: u32 = 0o1;
const WRITE: u32 = 0o2;

/// A user of this host, with its groups.
pub(super) struct Person {
    pub(super) name: String,
    uid: u32,
    groups: Vec<u32>,
}

impl Person {
    /// Looks up a user by its name; `None` if there is no such user.
    pub(super) fn named(name: &str) -> Option<Self> {
        let user = User::from_name(name).ok()??;
        Some(Self {
            groups: groups_of(&user).iter().map(|gid| gid.as_raw()).collect(),
            name: user.name,
            uid: user.uid.as_raw(),
        })
    }

    /// Adds groups, by name: those that a unit gives to its processes.
    pub(super) fn with_groups(mut self, names: &[String]) -> Self {
        let gids = names
            .iter()
            .filter_map(|name| Group::from_name(name).ok().flatten());
        self.groups.extend(gids.map(|group| group.gid.as_raw()));
        self
    }

    /// Gives the first directory on the way to `path`, links followed, that this user cannot enter by owner and mode.
    /// A directory that this process cannot look at is not judged.
    pub(super) fn shut_out_at(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut above: Vec<_> = real.ancestors().skip(1).collect();
        above.reverse();
        let shut = |directory: &&Path| self.has(directory, ENTER) == Some(false);
        above.into_iter().find(shut).map(Path::to_owned)
    }

    /// Whether this user may write to `path` by owner and mode, which is all that connecting to a socket takes; `None`
    /// if this process cannot look at it.
    pub(super) fn may_write(&self, path: &Path) -> Option<bool> {
        self.has(path, WRITE)
    }

    fn has(&self, path: &Path, permission: u32) -> Option<bool> {
        let found = fs::metadata(path).ok()?;
        let shift = match () {
            () if self.uid == 0 => return Some(true),
            () if self.uid == found.uid() => 6,
            () if self.groups.contains(&found.gid()) => 3,
            () => 0,
        };
        Some(found.mode() >> shift & permission != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_first_directory_that_shuts_somebody_out_is_named() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let (outer, inner) = (top.join("outer"), top.join("outer/inner"));
        fs::create_dir_all(&inner).unwrap();
        let file = inner.join("socket");
        fs::write(&file, "").unwrap();
        let set =
            |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(&top, 0o755);
        let somebody = Person {
            name: "somebody".into(),
            uid: 4_000_000_001,
            groups: vec![4_000_000_001],
        };
        for (path, mode, shut) in [
            (&outer, 0o755, None),
            (&inner, 0o700, Some(&inner)),
            (&outer, 0o750, Some(&outer)),
        ] {
            set(path, mode);
            assert_eq!(somebody.shut_out_at(&file).as_ref(), shut);
        }
        set(&file, 0o664);
        assert_eq!(somebody.may_write(&file), Some(false));
        set(&file, 0o666);
        assert_eq!(somebody.may_write(&file), Some(true));
        assert_eq!(somebody.may_write(&inner.join("none")), None);
        assert!(Person::named("nosuchuser").is_none());
    }
}
