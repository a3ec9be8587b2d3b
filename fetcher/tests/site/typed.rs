//! What a person types.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Types what stands after `lead` on its line.
pub fn type_line(what: &str, lead: &str) {
    let line = what.split(lead).nth(1).unwrap().lines().next().unwrap();
    let line = line.split([';', ',']).next().unwrap();
    let typed = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(typed.success(), "{line}");
}

/// Gives `path` these permissions.
pub fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}
