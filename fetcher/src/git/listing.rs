//! Which revision is wanted, and what the remote's listing says it is.

use thiserror::Error;

use pp_objects::ObjectId;

use super::version::{Version, wants_before_release};
pub(crate) use super::wire::refs::RemoteRef;
use crate::util::glob;

/// Names shown in a message about what the remote has instead.
const NAMES_SHOWN: usize = 8;

/// What an app follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefSelector {
    /// The tip of a branch, named without `refs/heads/`.
    Branch(String),
    /// The tag with the highest version among those the pattern matches (`*`, `?`), named without
    /// `refs/tags/`. What comes before a release counts only where the pattern asks for it
    /// (`v*-rc*`).
    TagGlob(String),
    /// A ref by its full name.
    Ref(String),
}

/// The refs of a remote that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRefs {
    /// Those that the wanted one may be.
    pub refs: Vec<RemoteRef>,
    /// Where there are none: what else the remote has, as far as it was told.
    pub others: Vec<RemoteRef>,
}

/// The one revision to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRevision {
    /// The ref it was found under.
    pub reference: String,
    /// What the ref points to: the commit, or a tag object.
    pub id: ObjectId,
    /// The commit, if the server has told it; the same as `id` unless that is a tag object.
    pub commit: ObjectId,
}

/// Why there is no revision to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unresolved {
    /// Nothing was ever pushed there.
    #[error("the repository is empty: push a first commit")]
    EmptyRepository,
    /// No such branch.
    #[error("there is no branch {branch:?} ({}): was it renamed or deleted?", there_is(others, head.as_deref()))]
    NoBranch {
        /// The branch.
        branch: String,
        /// What branches there are, as far as the server told.
        others: Vec<String>,
        /// The branch the remote's HEAD stands for.
        head: Option<String>,
    },
    /// No tag is matched by the pattern.
    #[error("no tag matches {pattern:?}: push a tag, or change `tag` in the app's file")]
    NoTag {
        /// The pattern.
        pattern: String,
    },
    /// Tags match, but none is a version.
    #[error("no tag that matches {pattern:?} is a release version, such as v1.2.3: there is {}\n  push such a tag, or change `tag` in the app's file; pp-fetcher.toml(5) says what counts as a version", names.join(", "))]
    NoVersion {
        /// The pattern.
        pattern: String,
        /// Some of the tags that match.
        names: Vec<String>,
    },
    /// No such ref.
    #[error("there is no ref {reference:?}: it must be a full name such as refs/heads/main")]
    NoRef {
        /// The ref.
        reference: String,
    },
}

impl RefSelector {
    /// What every ref that may be meant begins with, for the server to choose by.
    #[must_use]
    pub(crate) fn prefix(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::TagGlob(pattern) => format!("refs/tags/{}", glob::literal_prefix(pattern)),
            Self::Ref(name) => name.clone(),
        }
    }

    /// Whether a ref of this name may be meant.
    #[must_use]
    pub(crate) fn may_mean(&self, name: &str) -> bool {
        match self {
            Self::Branch(_) | Self::Ref(_) => name == self.prefix(),
            Self::TagGlob(pattern) => name
                .strip_prefix("refs/tags/")
                .is_some_and(|tag| glob::matches(pattern, tag)),
        }
    }

    /// The revision meant, where the tags that are `passed_over` do not count.
    ///
    /// # Errors
    /// [`Unresolved`] says why there is none.
    pub(crate) fn resolve_without(
        &self,
        listed: &ListedRefs,
        passed_over: &dyn Fn(&ListedRevision) -> bool,
    ) -> Result<ListedRevision, Unresolved> {
        let mut refs = listed.refs.iter().filter(|r| self.may_mean(&r.name));
        let found = match self {
            Self::Branch(_) | Self::Ref(_) => refs.next(),
            Self::TagGlob(pattern) => {
                let names = refs.clone().map(|r| tag_of(&r.name).to_owned());
                let names: Vec<_> = names.take(NAMES_SHOWN).collect();
                let highest = refs
                    .filter_map(|r| Some((release(pattern, tag_of(&r.name))?, r)))
                    .filter(|(_, r)| !passed_over(&ListedRevision::of(r)))
                    .max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.name.cmp(&y.name)));
                if highest.is_none() && !names.is_empty() {
                    let pattern = pattern.clone();
                    return Err(Unresolved::NoVersion { pattern, names });
                }
                highest.map(|(_, r)| r)
            }
        };
        found
            .map(ListedRevision::of)
            .ok_or_else(|| self.missing(listed))
    }

    /// The tags that match and are no versions, in the order of their names.
    #[must_use]
    pub(crate) fn unordered(&self, listed: &ListedRefs) -> Vec<String> {
        let Self::TagGlob(pattern) = self else {
            return Vec::new();
        };
        let refs = listed.refs.iter().filter(|r| self.may_mean(&r.name));
        let tags = refs.map(|r| tag_of(&r.name));
        let mut names: Vec<_> = tags
            .filter(|tag| Version::of(pattern, tag).is_none())
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    fn missing(&self, listed: &ListedRefs) -> Unresolved {
        match self {
            Self::Ref(reference) => Unresolved::NoRef {
                reference: reference.clone(),
            },
            Self::TagGlob(pattern) => Unresolved::NoTag {
                pattern: pattern.clone(),
            },
            Self::Branch(_) if listed.others.is_empty() => Unresolved::EmptyRepository,
            Self::Branch(branch) => {
                let mut others = listed.others.iter();
                let head = others
                    .find(|r| r.name == "HEAD")
                    .and_then(|r| r.target.as_deref());
                let branches = listed
                    .others
                    .iter()
                    .filter_map(|r| r.name.strip_prefix("refs/heads/"));
                Unresolved::NoBranch {
                    branch: branch.clone(),
                    others: branches.take(NAMES_SHOWN).map(str::to_owned).collect(),
                    head: head.map(|h| h.trim_start_matches("refs/heads/").to_owned()),
                }
            }
        }
    }
}

impl ListedRevision {
    fn of(found: &RemoteRef) -> Self {
        Self {
            reference: found.name.clone(),
            id: found.id,
            commit: found.peeled.unwrap_or(found.id),
        }
    }
}

/// A tag's name without `refs/tags/`.
#[must_use]
pub(crate) fn tag_of(name: &str) -> &str {
    name.strip_prefix("refs/tags/").unwrap_or(name)
}

/// The version of a tag that may be deployed.
fn release(pattern: &str, tag: &str) -> Option<Version> {
    let version = Version::of(pattern, tag)?;
    (!version.is_before_release() || wants_before_release(pattern)).then_some(version)
}

fn there_is(branches: &[String], head: Option<&str>) -> String {
    let branches = if branches.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", branches.join(", "))
    };
    match head {
        Some(head) => format!("{branches}; its default is {head}"),
        None => branches,
    }
}
