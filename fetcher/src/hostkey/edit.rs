//! Edits the text of a file of pinned keys: removes some lines and adds one. Pure: no file is read or
//! written.

/// Gives `text` without `name` in the lines `doomed` (numbers from 1), and with the line `new` in place of
/// the first of them, or at the end. Every other byte stays as it is.
///
/// A line for several names loses only `name`; a hashed name is alone in its line, so the whole line is
/// removed.
///
/// # Errors
/// The number of a line that names the server by a pattern: the line holds for other servers too.
pub(crate) fn replaced(
    text: &[u8],
    name: &str,
    doomed: &[usize],
    new: Option<&str>,
) -> Result<Vec<u8>, usize> {
    let mut new = new.map(|line| format!("{}\n", line.trim_end()));
    let mut out = Vec::with_capacity(text.len() + 128);
    for (index, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let number = index + 1;
        if !doomed.contains(&number) {
            out.extend_from_slice(line);
            continue;
        }
        out.extend(new.take().unwrap_or_default().bytes());
        out.extend(without(line, name).ok_or(number)?);
    }
    if let Some(new) = new {
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.extend(new.bytes());
    }
    Ok(out)
}

/// Removes `name` from a line. Gives the rest; nothing if the line was for `name` alone, `None` if a pattern
/// in the line matches `name`.
fn without(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let begin = line.iter().position(|b| !blank(b))?;
    let line = line.get(begin..)?;
    let end = line.iter().position(blank)?;
    let (names, rest) = line.split_at_checked(end)?;
    if names.starts_with(b"|") {
        return Some(Vec::new());
    }
    let is = |other: &&[u8]| other.eq_ignore_ascii_case(name.as_bytes());
    let (ours, others): (Vec<_>, Vec<_>) = names.split(|b| *b == b',').partition(is);
    if ours.is_empty() {
        return None;
    }
    if others.is_empty() {
        return Some(Vec::new());
    }
    // A pattern beside the name might still match the name.
    let pattern = |other: &&[u8]| other.iter().any(|b| matches!(b, b'*' | b'?' | b'!'));
    if others.iter().any(pattern) {
        return None;
    }
    Some([&others.join(&b','), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# pinned 2026\nother ssh-rsa O\nforge ssh-rsa OLD\nlast ssh-rsa L\n";

    fn edited(text: &str, doomed: &[usize], new: Option<&str>) -> Result<String, usize> {
        let bytes = replaced(text.as_bytes(), "forge", doomed, new)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_line_is_replaced_where_it_stood_and_nothing_else_changes() {
        let new = edited(FILE, &[3], Some("forge ssh-ed25519 NEW")).unwrap();
        assert_eq!(
            new,
            FILE.replace("forge ssh-rsa OLD", "forge ssh-ed25519 NEW")
        );
        let gone = edited(FILE, &[3], None).unwrap();
        assert_eq!(gone, FILE.replace("forge ssh-rsa OLD\n", ""));
    }

    #[test]
    fn a_new_line_comes_last_even_after_a_line_without_an_end() {
        let new = Some("forge ssh-ed25519 NEW");
        assert_eq!(edited("", &[], new).unwrap(), "forge ssh-ed25519 NEW\n");
        assert_eq!(
            edited("a b c", &[], new).unwrap(),
            "a b c\nforge ssh-ed25519 NEW\n"
        );
    }

    #[test]
    fn other_names_of_a_line_keep_their_key() {
        let text = "FORGE,10.0.0.1,other ssh-rsa OLD me\nforge,forge ssh-rsa OLD2\n";
        let new = edited(text, &[1, 2], Some("forge ssh-ed25519 NEW")).unwrap();
        assert_eq!(
            new,
            "forge ssh-ed25519 NEW\n10.0.0.1,other ssh-rsa OLD me\n"
        );
        let hashed = "|1|abc=|def= ssh-rsa OLD\nlast ssh-rsa L\n";
        assert_eq!(edited(hashed, &[1], None).unwrap(), "last ssh-rsa L\n");
    }

    #[test]
    fn a_pattern_is_left_to_people() {
        for names in ["*", "for?e", "forge,*.example", "!x,forge"] {
            let text = format!("# x\n{names} ssh-rsa OLD\n");
            assert_eq!(edited(&text, &[2], Some("forge t NEW")), Err(2), "{names}");
        }
    }
}
