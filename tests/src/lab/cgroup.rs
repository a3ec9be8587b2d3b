//! Control groups of a lab. `systemd-nspawn` takes those that it is started in, and two labs in one would see
//! each other's units: their systemds give the same names to the groups of their services.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the kernel's hierarchies are mounted.
const MOUNTED: &str = "/sys/fs/cgroup";

/// Moves itself into the groups before `--`, and becomes the program behind it.
const ENTER: &str = r#"while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@""#;

/// The groups of one lab, in systemd's own hierarchy and in the unified one; removed when dropped. None where this
/// process may make none: then only one lab can run at a time.
#[derive(Debug)]
pub(super) struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    /// Makes the groups of the lab `name`, below those of this process.
    pub(super) fn make(name: &str) -> Self {
        let mut groups = places(name);
        groups.retain(|group| fs::create_dir(group).is_ok());
        Self(groups)
    }

    /// A command that starts `program` in these groups; its process id is that of `program` then.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", ENTER, "sh"]).args(&self.0);
        command.args(["--", program]);
        command
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.0.iter().for_each(|group| remove(group));
    }
}

/// Removes the groups of a lab that was killed.
pub(super) fn sweep(name: &str) {
    places(name).iter().for_each(|group| remove(group));
}

/// The paths of the groups of `name`: cgroups(7), `/proc/self/cgroup`.
fn places(name: &str) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified_alone = Path::new(MOUNTED).join("cgroup.controllers").exists();
    let place = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let hierarchy = match fields.next()? {
            "" if unified_alone => "",
            "" => "unified",
            "name=systemd" => "systemd",
            _ => return None,
        };
        let below = fields.next()?.trim_start_matches('/');
        let parent = Path::new(MOUNTED).join(hierarchy).join(below);
        parent.is_dir().then(|| parent.join(name))
    };
    own.lines().filter_map(place).collect()
}

/// A group can be removed when it has no group below it, and no process any more.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    for _ in 0..50 {
        if fs::remove_dir(group).is_ok() || !group.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
