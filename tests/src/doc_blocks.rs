//! The blocks of a page in Markdown, with what a comment above each says about it.

use anyhow::{Result, bail, ensure};

/// A block of code, or a comment that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of the page on which the block begins, counted from 1.
    pub line: usize,
    /// What is done with the block.
    pub used: Use,
    /// The block's text.
    pub text: String,
}

/// What is done with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// It is run by a user, and ends with an exit code.
    Run {
        /// The user.
        user: String,
        /// The exit code.
        exit: i32,
        /// Whether its output is a terminal.
        terminal: bool,
    },
    /// It is the content of a file.
    File(String),
    /// Its lines are among those that the block before has printed.
    Output,
    /// Nobody runs it, for this reason.
    NotRun(String),
    /// What a person does elsewhere: at the forge, `register todo` or `push todo v2`.
    Forge(String),
    /// The state of the host on which the page begins.
    Host(String),
}

/// The words of a comment above a block that is run at a terminal.
const AT_A_TERMINAL: &str = "at a terminal";

/// Reads the blocks of a page.
///
/// # Errors
/// A block without an end, or a comment that nobody understands.
pub fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut said: Option<(usize, String)> = None;
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let number = number + 1;
        if let Some(comment) = comment(line) {
            match standing(comment) {
                Some(used) => blocks.push(Block {
                    line: number,
                    used,
                    text: String::new(),
                }),
                None => said = Some((number, comment.to_owned())),
            }
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let mut text = String::new();
            loop {
                let Some((_, line)) = lines.next() else {
                    bail!("line {number}: this block has no end");
                };
                if line.trim() == "```" {
                    break;
                }
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            let used = used(language, said.take().map(|(_, said)| said), number)?;
            blocks.push(Block {
                line: number,
                used,
                text,
            });
        } else if !line.trim().is_empty() {
            ensure!(
                said.is_none(),
                "line {}: this comment is followed by no block",
                said.unwrap_or_default().0
            );
        }
    }
    Ok(blocks)
}

fn comment(line: &str) -> Option<&str> {
    let inside = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(inside.trim())
}

/// A comment that is no block's.
fn standing(comment: &str) -> Option<Use> {
    if let Some(what) = comment.strip_prefix("forge: ") {
        return Some(Use::Forge(what.to_owned()));
    }
    let state = comment.strip_prefix("host: ")?;
    Some(Use::Host(state.to_owned()))
}

fn used(language: &str, said: Option<String>, line: usize) -> Result<Use> {
    let at_a_terminal = said
        .as_deref()
        .and_then(|said| said.strip_prefix(AT_A_TERMINAL));
    let terminal = at_a_terminal.is_some();
    let said = match at_a_terminal.map(|rest| rest.trim_start_matches(", ")) {
        Some("") => None,
        Some(rest) => Some(rest.to_owned()),
        None => said,
    };
    let run = |user: &str, exit| Use::Run {
        user: user.to_owned(),
        exit,
        terminal,
    };
    let Some(said) = said else {
        ensure!(
            language == "sh",
            "line {line}: a block of {language:?} needs a comment that says what is done with it"
        );
        return Ok(run("root", 0));
    };
    Ok(match said.split_once(": ").unwrap_or((&said, "")) {
        ("as", user) => run(user, 0),
        ("exit", code) => run("root", code.parse()?),
        ("file", path) => Use::File(path.to_owned()),
        ("output", "") => Use::Output,
        ("not run", why) => Use::NotRun(why.to_owned()),
        _ => bail!("line {line}: nobody understands {said:?}"),
    })
}

/// Whether `printed` has the lines of `expected`, in order; `…` in a line stands for anything, on a line of its own for
/// any lines.
#[must_use]
pub fn is_printed(expected: &str, printed: &str) -> bool {
    let mut printed = printed.lines();
    expected
        .lines()
        .filter(|line| !matches!(line.trim(), "" | "…"))
        .all(|line| printed.any(|found| fits(line.trim(), found.trim())))
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    open || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_what_the_comment_above_says() {
        let page = "# T\n<!-- host: deployed -->\ntext\n```sh\na\n```\n<!-- as: gunicorn -->\n```sh\nb\n```\n\n\
                    <!-- at a terminal -->\n```sh\ne\n```\n<!-- at a terminal, exit: 1 -->\n```sh\nf\n```\n1. x\n   <!-- exit: 1 -->\n   \
                    ```sh\n   c\n   ```\n<!-- output -->\n```text\nd … e\n```\n<!-- forge: push todo v2 -->\n";
        let blocks = blocks(page).unwrap();
        let uses: Vec<_> = blocks
            .iter()
            .map(|block| (&block.used, block.text.as_str()))
            .collect();
        let run = |user: &str, exit, terminal| Use::Run {
            user: user.into(),
            exit,
            terminal,
        };
        assert_eq!(
            uses,
            [
                (&Use::Host("deployed".into()), ""),
                (&run("root", 0, false), "a\n"),
                (&run("gunicorn", 0, false), "b\n"),
                (&run("root", 0, true), "e\n"),
                (&run("root", 1, true), "f\n"),
                (&run("root", 1, false), "c\n"),
                (&Use::Output, "d … e\n"),
                (&Use::Forge("push todo v2".into()), ""),
            ]
        );
        assert_eq!(blocks[1].line, 4);
    }

    #[test]
    fn what_nobody_would_run_is_an_error() {
        for page in [
            "```toml\nx\n```\n",
            "```sh\nx\n",
            "<!-- as: x -->\ntext\n",
            "<!-- what -->\n```sh\n```\n",
        ] {
            blocks(page).unwrap_err();
        }
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(is_printed("a … c\n…\nlast", "x\na b c\ny\nlast\n"));
        assert!(is_printed("begins …", "begins here"));
        assert!(!is_printed("a … c", "a b d"));
        assert!(!is_printed("second\nfirst", "first\nsecond"));
    }
}
