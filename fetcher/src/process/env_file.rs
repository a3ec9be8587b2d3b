//! Files of environment variables, read as systemd reads `EnvironmentFile=` (systemd.exec(5)), so that a unit and the
//! build script of its app can have the same file. No value is ever part of a message.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::environment::Environment;
use crate::release::place::user;

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
        match text_of(&file.path) {
            Ok(text) => all.extend(parse(&text)),
            Err((ErrorKind::NotFound, _)) if file.may_be_absent => {}
            Err((_, message)) => return Err(message),
        }
    }
    Ok(all)
}

fn text_of(path: &Path) -> Result<String, (ErrorKind, String)> {
    let (shown, user) = (path.display(), user(geteuid()));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    let Err(error) = read else { return Ok(text) };
    let remedy = match error.kind() {
        ErrorKind::NotFound => {
            format!("write the file, or `-{shown}` under `env_files` if it may be absent")
        }
        ErrorKind::InvalidData => {
            format!("the file must be UTF-8: iconv -f LATIN1 -t UTF-8 {shown}")
        }
        _ => {
            format!("as root: chown {user} {shown} && chmod 400 {shown}; systemd reads it as root")
        }
    };
    let message = format!(
        "{shown}, of `env_files` under [deploy], cannot be read by {user}: {error}\n  {remedy}"
    );
    Err((error.kind(), message))
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

/// Reads assignments: `#` and `;` begin a comment, a backslash takes the next character as it is and joins lines,
/// quotes keep blanks. Lines that assign nothing, and names that are none, are left out.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut at, mut name, mut value) = (At::Start, String::new(), Value::default());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let ends_line = c == '\n' || c == '\r';
        at = match at {
            At::Start if c == '#' || c == ';' => At::Comment,
            At::Start if c.is_ascii_whitespace() => At::Start,
            At::Start => {
                name = c.to_string();
                At::Name
            }
            At::Comment | At::Name if ends_line => At::Start,
            At::Comment => {
                if c == '\\' {
                    rest.next();
                }
                At::Comment
            }
            At::Name if c == '=' => At::Border,
            At::Name => {
                name.push(c);
                At::Name
            }
            At::Border | At::Plain if ends_line => {
                found.push((std::mem::take(&mut name), std::mem::take(&mut value).end()));
                At::Start
            }
            At::Border if c == '\'' => At::Single,
            At::Border if c == '"' => At::Double,
            At::Border if c.is_ascii_whitespace() => At::Border,
            At::Border | At::Plain if c == '\\' => {
                let next = rest.next().filter(|c| *c != '\n' && *c != '\r');
                next.into_iter().for_each(|c| value.keep(c));
                At::Plain
            }
            At::Border | At::Plain => {
                value.push(c);
                At::Plain
            }
            At::Single if c == '\'' => At::Border,
            At::Double if c == '"' => At::Border,
            At::Double if c == '\\' => {
                match rest.next() {
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.keep(c),
                    Some('\n') | None => {}
                    Some(c) => ['\\', c].into_iter().for_each(|c| value.keep(c)),
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
    found
        .iter_mut()
        .for_each(|(name, _)| name.truncate(name.trim_end().len()));
    found.retain(|(name, value)| is_name(name) && value.chars().all(is_allowed));
    found
}

/// A value: blanks at its end count only if they are quoted or escaped.
#[derive(Default)]
struct Value {
    text: String,
    /// The length without unquoted blanks at the end.
    kept: usize,
}

impl Value {
    fn push(&mut self, c: char) {
        self.text.push(c);
        if !c.is_ascii_whitespace() {
            self.kept = self.text.len();
        }
    }

    fn keep(&mut self, c: char) {
        self.text.push(c);
        self.kept = self.text.len();
    }

    fn end(mut self) -> String {
        self.text.truncate(self.kept);
        self.text
    }
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(legal)
}

fn is_allowed(c: char) -> bool {
    c == '\n' || c == '\t' || !c.is_ascii_control()
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
            ("A=\"a\"'b'c", "abc"),
            ("A=", ""),
            ("# A=1 \\\nA=2\nA=3", "3"),
            ("export\n;x\nA=4", "4"),
            ("A=no # comment", "no # comment"),
        ] {
            let found = parse(text);
            let found = found.iter().rev().find(|(name, _)| name == "A");
            assert_eq!(
                found.map(|(_, value)| value.as_str()),
                Some(value),
                "{text:?}"
            );
        }
        for text in ["", "A", "1A=x", "a-b=x", "=x", "A=\u{7}", "#A=1"] {
            assert_eq!(parse(text), [], "{text:?}");
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
