//! Rule 20: what a break-in gets, tried from inside each process. Run with `--features selftest`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

use std::collections::BTreeMap;
use std::process::Command;

#[test]
fn rule_20_everything_a_break_in_would_try_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: rule 20 needs root");
        return;
    }
    let out = Command::new(env!("CARGO_BIN_EXE_pp-restarter"))
        .arg("selftest")
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    print!("{said}");
    assert!(out.status.success(), "{said}");
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.splitn(3, ' ');
        let key = (words.next().unwrap(), words.next().unwrap());
        seen.insert(key, words.next().unwrap());
    }
    let of = |who: &str| seen.keys().filter(|(process, _)| *process == who).count();
    assert_eq!(
        (of("front"), of("monitor")),
        (31, 31),
        "both tried everything"
    );
    // The front with Landlock and its user alone, before seccomp.
    assert_eq!(of("landlock"), 22);
    if !said.contains("landlock lacking") {
        assert!(
            seen[&("landlock", "open-file")].contains("denied"),
            "a file that everybody may read"
        );
    }
    // All that the monitor can do beyond serving is what it is there for: reach the system bus.
    let allowed: Vec<_> = seen
        .iter()
        .filter(|(_, verdict)| **verdict == "ALLOWED")
        .map(|(key, _)| *key)
        .collect();
    let monitors = [("monitor", "system-bus"), ("monitor", "unix-socket")];
    assert!(
        allowed.iter().all(|key| monitors.contains(key)),
        "{allowed:?}"
    );
    for (key, verdict) in &seen {
        let refused = verdict.contains("EPERM") || verdict.contains("os error 1)");
        let other = key.0 == "landlock" || *key == ("monitor", "system-bus") || key.1 == "landlock";
        assert!(
            refused || other || *verdict == "ALLOWED",
            "{key:?}: {verdict}"
        );
    }
}
