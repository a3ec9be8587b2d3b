//! Parses a line of a version 0 advertisement, and the names and ids in it.

use pp_objects::ObjectId;

use super::{WireError, malformed};

/// A line of a version 0 advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// The object that the ref points to.
    pub id: ObjectId,
    /// The ref's name; `…^{}` for the object that the tag in the previous line points to.
    pub name: String,
}

/// Parses `<id> <name>`.
pub(super) fn advertised(line: &[u8]) -> Result<Advertised, WireError> {
    let line = String::from_utf8_lossy(line);
    let (id, name) = line
        .split_once(' ')
        .ok_or_else(|| malformed(format!("no ref in {line:?}")))?;
    let name = if nameable(name) { name } else { "" };
    Ok(Advertised {
        id: object_id(id)?,
        name: name.to_owned(),
    })
}

/// Returns whether a name is fit to be shown and compared (git allows no control characters in refs).
pub(super) fn nameable(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

pub(super) fn object_id(hex: &str) -> Result<ObjectId, WireError> {
    match hex.len() {
        40 => ObjectId::parse(hex).map_err(|_| malformed(format!("no object name: {hex:?}"))),
        64 => Err(WireError::ObjectFormat("sha256".to_owned())),
        _ => Err(malformed(format!("no object name: {hex:?}"))),
    }
}
