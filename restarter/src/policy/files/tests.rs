use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::names::System;
use super::*;

/// A policy directory inside a temporary directory. The trusted owner is the user that runs the test.
struct Host {
    top: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            top: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(host.dir()).unwrap();
        for dir in ["", "etc", "etc/policy.d"] {
            host.mode(dir, 0o755);
        }
        host
    }

    fn dir(&self) -> PathBuf {
        self.top.path().join("etc/policy.d")
    }

    fn mode(&self, below: &str, mode: u32) {
        let path = self.top.path().join(below);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn places(&self, owner: u32) -> PolicyDirectories {
        PolicyDirectories {
            trust: Trust {
                owner,
                top: self.top.path().to_owned(),
            },
            policy: self.dir(),
            accounts: self.top.path().join("etc"),
        }
    }

    fn load(&self) -> Result<Loaded, Refused> {
        load(&self.places(nix::unistd::geteuid().as_raw()), &System)
    }

    /// Returns why the policy directory was refused, or why its only file with a mistake was left out.
    fn refusal(&self) -> String {
        match self.load() {
            Err(refused) => refused.to_string(),
            Ok(loaded) => {
                assert_eq!(loaded.left_out.len(), 1, "{:?}", loaded.left_out);
                loaded.left_out[0].to_string()
            }
        }
    }
}

const ROOT: &str = "[[allow]]\nunits = [\"a.service\"]\nusers = [\"root\"]\n";

#[test]
fn files_are_read_in_order_and_added_up() {
    let host = Host::new();
    host.file("b.toml", &ROOT.replace("a.service", "b.service"));
    host.file("a.toml", ROOT);
    let loaded = host.load().unwrap();
    let names: Vec<_> = loaded
        .policy
        .units
        .iter()
        .map(|u| u.name.as_str())
        .collect();
    assert_eq!(names, ["a.service", "b.service"]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn a_missing_or_empty_directory_allows_nothing_and_says_so() {
    let host = Host::new();
    assert!(host.load().unwrap().warnings[0].contains("nobody may do anything"));
    fs::remove_dir(host.dir()).unwrap();
    let loaded = host.load().unwrap();
    assert!(loaded.policy.units.is_empty());
    assert!(loaded.warnings[0].contains("does not exist"));
}

#[test]
fn rule_9_a_policy_file_writable_by_group_or_others_is_refused() {
    for mode in [0o664, 0o646, 0o666, 0o777] {
        let host = Host::new();
        host.file("a.toml", ROOT);
        host.mode("etc/policy.d/a.toml", mode);
        assert!(host.refusal().contains(&format!("has mode {mode:04o}")));
    }
}

#[test]
fn rule_9_a_directory_above_writable_by_others_is_refused() {
    for dir in ["", "etc", "etc/policy.d"] {
        let host = Host::new();
        host.file("a.toml", ROOT);
        host.mode(dir, 0o777);
        assert!(host.refusal().contains("has mode 0777"), "{dir:?}");
    }
}

#[test]
fn rule_9_a_strangers_file_is_refused() {
    let host = Host::new();
    let path = host.file("a.toml", ROOT);
    let me = nix::unistd::geteuid().as_raw();
    let refusal = load(&host.places(me + 1), &System).unwrap_err().to_string();
    assert!(
        refusal.contains(&format!("belongs to uid {me}")),
        "{refusal}"
    );
    if me == 0 {
        std::os::unix::fs::chown(&path, Some(1), None).unwrap();
        assert!(host.refusal().contains("belongs to uid 1"));
    }
}

#[test]
fn rule_9_a_symbolic_link_is_refused_as_file_and_as_directory() {
    let host = Host::new();
    let real = host.top.path().join("real.toml");
    fs::write(&real, ROOT).unwrap();
    symlink(&real, host.dir().join("a.toml")).unwrap();
    assert!(
        host.refusal().contains("symbolic link"),
        "{}",
        host.refusal()
    );

    let host = Host::new();
    fs::rename(host.dir(), host.top.path().join("elsewhere")).unwrap();
    symlink(host.top.path().join("elsewhere"), host.dir()).unwrap();
    assert!(
        host.refusal().contains("symbolic link"),
        "{}",
        host.refusal()
    );
}

#[test]
fn rule_9_a_fifo_is_refused_and_nobody_waits_for_it() {
    let host = Host::new();
    let fifo = host.dir().join("a.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(host.refusal().contains("neither a file nor a directory"));
}

#[test]
fn rule_9_a_directory_named_like_a_file_is_refused() {
    let host = Host::new();
    fs::create_dir(host.dir().join("a.toml")).unwrap();
    assert!(
        host.refusal().contains("cannot be read"),
        "{}",
        host.refusal()
    );
}

#[test]
fn rule_9_other_names_are_warned_about_and_not_read() {
    let host = Host::new();
    host.file("a.toml", ROOT);
    for name in [
        "a.toml.dpkg-old",
        "b.tml",
        "B.toml",
        ".toml",
        "a b.toml",
        "c.toml~",
        "new\nline.toml",
    ] {
        host.file(name, "this is no TOML [");
    }
    let loaded = host.load().unwrap();
    assert_eq!(loaded.policy.units.len(), 1);
    assert_eq!(loaded.warnings.len(), 7, "{:?}", loaded.warnings);
    for warning in &loaded.warnings {
        assert!(
            warning.contains("NOT read") && !warning.contains('\n'),
            "{warning:?}"
        );
    }
}

#[test]
fn rule_9_more_than_64_kib_is_refused() {
    let host = Host::new();
    let most = usize::try_from(MAX_FILE).unwrap() - ROOT.len();
    host.file("a.toml", &format!("{ROOT}{}", "#".repeat(most)));
    assert!(host.load().is_ok());
    host.file("a.toml", &format!("{ROOT}{}", "#".repeat(most + 1)));
    assert!(host.refusal().contains("larger than 64 KiB"));
}

#[test]
fn rule_9_a_file_with_a_mistake_is_left_out_whole_and_the_others_hold() {
    let host = Host::new();
    host.file("a.toml", ROOT);
    let good = ROOT.replace("a.service", "b.service");
    let bad = host.file("b.toml", &format!("{good}[[allow]]\nunit = []\n"));
    host.file("c.toml", &ROOT.replace("a.service", "c.service"));
    let loaded = host.load().unwrap();
    let units = loaded.policy.units.iter().map(|unit| unit.name.as_str());
    assert_eq!(units.collect::<Vec<_>>(), ["a.service", "c.service"]);
    let refusal = host.refusal();
    assert!(
        refusal.starts_with(&format!("{}:5:1: ", bad.display())),
        "{refusal}"
    );
    assert!(refusal.ends_with("did you mean `units`?"), "{refusal}");
}

#[test]
fn what_is_not_utf_8_is_refused() {
    let host = Host::new();
    fs::write(host.dir().join("a.toml"), [0xff, 0xfe]).unwrap();
    host.mode("etc/policy.d/a.toml", 0o644);
    assert!(host.refusal().contains("UTF-8"));
}

#[test]
fn rule_37_subordinate_ranges_and_primary_groups_are_read_beside_the_policy() {
    let host = Host::new();
    host.file(
        "a.toml",
        &ROOT.replace("users = [\"root\"]", "groups = [\"root\"]"),
    );
    let account = |name: &str, text: &str| {
        fs::write(host.top.path().join("etc").join(name), text).unwrap();
        host.mode(&format!("etc/{name}"), 0o644);
    };
    account("subuid", "ann:100000:65536\n");
    account(
        "passwd",
        "root:x:0:0::/:\nann:x:1000:1000::/:\nodd:x:100007:0::/:\n",
    );
    let loaded = host.load().unwrap();
    assert!(loaded.policy.people.is_subordinate(165_535));
    assert_eq!(loaded.policy.people.primary, [(0, 0), (100_007, 0)]);
    assert!(
        loaded
            .warnings
            .iter()
            .any(|w| w.contains("\"odd\" (uid 100007)"))
    );
    host.mode("etc/subuid", 0o666);
    let refused = host.load().unwrap_err().to_string();
    assert!(refused.contains("subuid: has mode 0666"), "{refused}");
}
