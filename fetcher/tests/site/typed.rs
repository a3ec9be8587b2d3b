//! What a person types.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Types what stands after `lead` on its line, up to what is said beside it.
pub fn type_line(what: &str, lead: &str) {
    run(line_after(what, lead).split([';', ',']).next().unwrap());
}

/// Types all of the line that stands after `lead`.
pub fn type_whole_line(what: &str, lead: &str) {
    run(line_after(what, lead));
}

fn line_after<'a>(what: &'a str, lead: &str) -> &'a str {
    what.split(lead).nth(1).unwrap().lines().next().unwrap()
}

fn run(line: &str) {
    let typed = Command::new("sh").args(["-c", line]).status().unwrap();
    assert!(typed.success(), "{line}");
}

/// Gives `path` these permissions.
pub fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}
