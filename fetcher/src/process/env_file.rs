//! Files of environment variables, read as systemd reads `EnvironmentFile=` (systemd.exec(5)), so that a unit and the
//! build script of its app can have the same file. No value is ever part of a message.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::environment::Environment;
use crate::release::place::user;
use crate::util::file;

/// Size of the largest file that is read, in bytes; a usual one is a page of text.
const LARGEST: u64 = 256 * 1024;

/// A file of environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// The file's absolute path.
    pub path: PathBuf,
    /// Whether the file may be absent: written with a `-` before the path.
    pub may_be_absent: bool,
}

/// Reads the files in order; of two assignments to one variable the later counts.
///
/// # Errors
/// A file cannot be read, or is no text; with the remedy.
pub(crate) fn read(files: &[EnvFile]) -> Result<Environment, String> {
    let mut all = Environment::new();
    for file in files {
        let read = bytes_of(&file.path).and_then(|bytes| parse(&bytes));
        match read {
            Ok(found) => all.extend(found),
            Err(error) if error.kind() == ErrorKind::NotFound && file.may_be_absent => {}
            Err(error) => return Err(message(&file.path, &error)),
        }
    }
    Ok(all)
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let file = file::need_regular(path)?;
    if file.metadata()?.len() > LARGEST {
        return Err(io::Error::other(format!(
            "it is longer than {} KiB",
            LARGEST >> 10
        )));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn message(path: &Path, error: &io::Error) -> String {
    let (shown, user) = (path.display(), user(geteuid()));
    let remedy = match error.kind() {
        ErrorKind::NotFound => {
            format!("write the file, or `-{shown}` under `env_files` if it may be absent")
        }
        ErrorKind::InvalidData => {
            format!("the file must be UTF-8: iconv -f LATIN1 -t UTF-8 {shown}")
        }
        ErrorKind::PermissionDenied => format!(
            "as root: chown {user} {shown} && chmod 400 {shown}, and the directories above it must let {user} in; systemd \
             reads it as root"
        ),
        _ => "`env_files` under [deploy] names it".to_owned(),
    };
    format!("{shown}, of `env_files` under [deploy], cannot be read by {user}: {error}\n  {remedy}")
}

/// Where the parser is in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Comment,
    Name,
    /// After `=`, or after a closed quote.
    Border,
    Plain,
    Single,
    Double,
}

/// The bytes that are blanks to systemd, and those of them that end a line.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t') || ends_line(byte)
}

fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Reads assignments: `#` and `;` begin a comment, a backslash takes the next byte as it is and joins lines,
/// quotes keep blanks. Lines that assign nothing, and names that are none, are left out.
///
/// # Errors
/// [`ErrorKind::InvalidData`] if a name or a value is no UTF-8 or has a NUL.
fn parse(text: &[u8]) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let (mut at, mut name, mut value) = (At::Start, Vec::new(), Value::default());
    let mut rest = text.iter().copied();
    while let Some(c) = rest.next() {
        at = match at {
            At::Start if c == b'#' || c == b';' => At::Comment,
            At::Start if is_blank(c) => At::Start,
            At::Start => {
                name = vec![c];
                At::Name
            }
            At::Comment | At::Name if ends_line(c) => At::Start,
            At::Comment => {
                if c == b'\\' {
                    rest.next();
                }
                At::Comment
            }
            At::Name if c == b'=' => At::Border,
            At::Name => {
                name.push(c);
                At::Name
            }
            At::Border | At::Plain if ends_line(c) => {
                found.push((std::mem::take(&mut name), std::mem::take(&mut value).end()));
                At::Start
            }
            At::Border if c == b'\'' => At::Single,
            At::Border if c == b'"' => At::Double,
            At::Border if is_blank(c) => At::Border,
            At::Border | At::Plain if c == b'\\' => {
                value.keep_blanks();
                let next = rest.next().filter(|c| !ends_line(*c));
                next.into_iter().for_each(|c| value.keep(c));
                At::Plain
            }
            At::Border | At::Plain => {
                value.push(c);
                At::Plain
            }
            At::Single if c == b'\'' => At::Border,
            At::Double if c == b'"' => At::Border,
            At::Double if c == b'\\' => {
                match rest.next() {
                    Some(c @ (b'"' | b'\\' | b'`' | b'$')) => value.keep(c),
                    Some(b'\n') | None => {}
                    Some(c) => [b'\\', c].into_iter().for_each(|c| value.keep(c)),
                }
                At::Double
            }
            At::Single | At::Double => {
                value.keep(c);
                at
            }
        };
    }
    if !matches!(at, At::Start | At::Comment | At::Name) {
        found.push((name, value.end()));
    }
    let read: io::Result<Vec<_>> = found.into_iter().map(assignment).collect();
    Ok(read?
        .into_iter()
        .filter(|(name, _)| is_name(name))
        .collect())
}

fn assignment((mut name, value): (Vec<u8>, Vec<u8>)) -> io::Result<(String, String)> {
    let blanks = name
        .iter()
        .rev()
        .take_while(|byte| is_blank(**byte))
        .count();
    name.truncate(name.len() - blanks);
    Ok((utf8(name)?, utf8(value)?))
}

fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'));
    text.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "it is no UTF-8"))
}

/// A value: blanks at its end count only if they are quoted or escaped.
#[derive(Default)]
struct Value {
    text: Vec<u8>,
    /// The length without unquoted blanks at the end.
    kept: usize,
}

impl Value {
    fn push(&mut self, byte: u8) {
        self.text.push(byte);
        if !is_blank(byte) {
            self.keep_blanks();
        }
    }

    fn keep(&mut self, byte: u8) {
        self.text.push(byte);
        self.keep_blanks();
    }

    fn keep_blanks(&mut self) {
        self.kept = self.text.len();
    }

    fn end(mut self) -> Vec<u8> {
        self.text.truncate(self.kept);
        self.text
    }
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_manual_of_systemd_has_them() {
        for (text, value) in [
            ("A=plain", "plain"),
            ("A = spaced out  \nB=1", "spaced out"),
            ("A='single \"quoted\" \\n $x '", "single \"quoted\" \\n $x "),
            ("A=\"a \\\"b\\\" \\$c \\x\"", "a \"b\" $c \\x"),
            ("A=one \\\n  two", "one   two"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=it\\'s\\ ", "it's "),
            ("A=one \\\n\n", "one "),
            ("A=\u{c}x\u{7}", "\u{c}x\u{7}"),
            ("A=\"a\"'b'c", "abc"),
            ("A=", ""),
            ("# A=1 \\\nA=2\nA=3", "3"),
            ("export\n;x\nA=4", "4"),
            ("A=no # comment", "no # comment"),
        ] {
            let found = parse(text.as_bytes()).unwrap();
            let found = found.iter().rev().find(|(name, _)| name == "A");
            assert_eq!(
                found.map(|(_, value)| value.as_str()),
                Some(value),
                "{text:?}"
            );
        }
        for text in ["", "A", "1A=x", "a-b=x", "=x", "A\u{a0}=x", "#A=1"] {
            assert_eq!(parse(text.as_bytes()).unwrap(), [], "{text:?}");
        }
        assert_eq!(
            parse(b"# caf\xe9\nA=1").unwrap().len(),
            1,
            "a comment may be anything"
        );
        for text in [&b"A=caf\xe9"[..], b"A=a\0b"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_file_that_may_be_absent_is_and_another_is_told() {
        let file = |may_be_absent| EnvFile {
            path: "/nowhere/env".into(),
            may_be_absent,
        };
        assert_eq!(read(&[file(true)]), Ok(Environment::new()));
        let message = read(&[file(false)]).unwrap_err();
        assert!(
            message.contains("/nowhere/env") && message.contains("-/nowhere/env"),
            "{message}"
        );
    }
}
