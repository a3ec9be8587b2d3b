//! Reads which file systems are mounted where, as this process sees it: proc(5), /proc/pid/mountinfo.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// The directory that it is mounted at.
    pub(crate) point: PathBuf,
    /// Whether this mount is read-only while its file system is not.
    pub(crate) read_only_here: bool,
}

/// Gives every mount; none if the kernel does not show them.
pub(crate) fn all() -> Vec<Mount> {
    parse(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// Parses a mountinfo file. The fifth and sixth field of each line are the mount point and the mount's own
/// options; the options of the file system are the last field after the ` - `.
pub(crate) fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    lines.filter_map(mount).collect()
}

fn mount(line: &[u8]) -> Option<Mount> {
    let fields: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
    let here = fields.get(5).is_some_and(|options| has(options, b"ro"));
    let behind = fields.iter().skip(6).any(|field| *field == b"-");
    let file_system = fields.last().filter(|_| behind);
    let read_only_here = here && file_system.is_some_and(|options| has(options, b"rw"));
    Some(Mount {
        point,
        read_only_here,
    })
}

fn has(options: &[u8], option: &[u8]) -> bool {
    options.split(|byte| *byte == b',').any(|o| o == option)
}

/// Decodes a field: blanks and some other characters are written in octal, such as `\040`.
fn unescape(mut field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    while let Some((&byte, rest)) = field.split_first() {
        let octal = rest.get(..3).filter(|_| byte == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(byte);
            field = rest.get(3..).unwrap_or_default();
        } else {
            plain.push(byte);
            field = rest;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let text = b"36 35 98:0 /mnt1 /srv/a\\040b\\134 rw - ext4 /dev/x rw\n\nshort line\n";
        let found: Vec<_> = parse(text).into_iter().map(|mount| mount.point).collect();
        assert_eq!(found, [Path::new("/srv/a b\\")]);
        assert_eq!(unescape(b"\\9\\04"), b"\\9\\04");
    }

    #[test]
    fn a_mount_that_is_read_only_here_alone_is_told_from_a_file_system_that_is() {
        for (line, here) in [
            ("1 2 8:0 / /srv ro,relatime shared:1 - ext4 /dev/x rw", true),
            ("1 2 8:0 / /srv ro,relatime - ext4 /dev/x ro", false),
            ("1 2 8:0 / /srv rw,relatime - ext4 /dev/x rw", false),
            ("1 2 8:0 / /srv ro", false),
        ] {
            let found: Vec<_> = parse(line.as_bytes())
                .iter()
                .map(|m| m.read_only_here)
                .collect();
            assert_eq!(found, [here], "{line}");
        }
    }
}
