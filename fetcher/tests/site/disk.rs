//! Small disks that can be filled, and made read-only: tmpfs in a mount namespace of the test's own
//! thread, so that they are gone with it whatever becomes of it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// From now on what this thread, and every process and thread it starts, mounts is its own.
pub fn own_mounts() {
    if !OWN.replace(true) {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    }
}

/// Whether disks can be mounted here; says so if not.
pub fn can_mount(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: {test} mounts small disks, which takes root");
    }
    root
}

/// A tmpfs.
pub struct Mounted {
    path: PathBuf,
    options: String,
}

impl Mounted {
    /// Mounts one on `path`, for everybody to write to.
    pub fn new(path: &Path, options: &str) -> Self {
        own_mounts();
        fs::create_dir_all(path).unwrap();
        let all = format!("mode=777,{options}");
        let none = MsFlags::empty();
        mount(Some("tmpfs"), path, Some("tmpfs"), none, Some(all.as_str())).unwrap();
        Self {
            path: path.to_owned(),
            options: options.to_owned(),
        }
    }

    /// Its directory's name, and how large it is.
    pub fn spoken(&self) -> (String, String) {
        let name = self.path.file_name().unwrap().to_string_lossy();
        (name.into_owned(), self.options.clone())
    }

    /// Makes it read-only, or no longer.
    pub fn read_only(&self, read_only: bool) {
        let mut flags = MsFlags::MS_REMOUNT;
        flags.set(MsFlags::MS_RDONLY, read_only);
        mount(None::<&str>, &self.path, None::<&str>, flags, None::<&str>).unwrap();
    }

    /// Fills it until so many bytes are free.
    pub fn leave_bytes(&self, bytes: u64) {
        let stat = nix::sys::statvfs::statvfs(&self.path).unwrap();
        let free = stat.blocks_available() * stat.fragment_size();
        let mut left = free.saturating_sub(bytes);
        let mut ballast = File::options()
            .append(true)
            .create(true)
            .open(self.path.join("ballast"))
            .unwrap();
        let chunk = [0; 64 * 1024];
        while left > 0 {
            let part = chunk.len().min(usize::try_from(left).unwrap());
            ballast.write_all(chunk.get(..part).unwrap()).unwrap();
            left -= part as u64;
        }
    }

    /// Fills it until so many inodes are free.
    pub fn leave_inodes(&self, inodes: u64) {
        fs::create_dir_all(self.path.join("ballast.d")).unwrap();
        let stat = nix::sys::statvfs::statvfs(&self.path).unwrap();
        for n in 0..stat.files_available().saturating_sub(inodes) {
            File::create(self.path.join(format!("ballast.d/{inodes}-{n}"))).unwrap();
        }
    }

    /// A script that fills it, whoever runs it, of bytes or of inodes.
    pub fn filler(&self, inodes: bool) -> String {
        let at = self.path.display();
        if inodes {
            format!(
                "mkdir -p '{at}/ballast.d'\nn=0\nwhile : >'{at}/ballast.d/'$n; do n=$((n+1)); done 2>/dev/null"
            )
        } else {
            format!("cat /dev/zero >'{at}/ballast' 2>/dev/null")
        }
    }

    /// Makes room again.
    pub fn relieve(&self) {
        let _ = fs::remove_file(self.path.join("ballast"));
        let _ = fs::remove_dir_all(self.path.join("ballast.d"));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
