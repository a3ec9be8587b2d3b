//! The revision an app wants, and the search for it in the remote's listing of refs.

use thiserror::Error;

use pp_objects::ObjectId;

use super::version::{Version, wants_before_release};
pub(crate) use super::wire::refs::RemoteRef;
use crate::util::glob;

/// The most names shown in a message about the refs that the remote has instead.
const NAMES_SHOWN: usize = 8;

/// The ref or refs that an app follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefSelector {
    /// The tip of a branch, named without `refs/heads/`.
    Branch(String),
    /// The tag with the highest version among the tags that the pattern matches (`*`, `?`), named without
    /// `refs/tags/`. A pre-release counts only where the pattern asks for pre-releases
    /// (`v*-rc*`).
    TagGlob(String),
    /// A ref by its full name.
    Ref(String),
}

/// The refs of a remote that its server has listed for a [`RefSelector`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRefs {
    /// The refs that the selector may mean.
    pub refs: Vec<RemoteRef>,
    /// If `refs` is empty: the other refs of the remote, as far as the server has told them.
    pub others: Vec<RemoteRef>,
}

/// The one revision to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRevision {
    /// The full name of the ref that the revision was found under.
    pub reference: String,
    /// The object that the ref points to: the commit, or a tag object.
    pub id: ObjectId,
    /// The commit, if the server has told it; the same as `id` unless `id` is a tag object.
    pub commit: ObjectId,
}

/// Why there is no revision to deploy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Unresolved {
    /// The repository has no refs.
    #[error("the repository is empty: push a first commit")]
    EmptyRepository,
    /// The remote has no such branch.
    #[error("there is no branch {branch:?} ({}): was it renamed or deleted?", there_is(others, head.as_deref()))]
    NoBranch {
        /// The branch.
        branch: String,
        /// The branches that the remote has, as far as the server has told them.
        others: Vec<String>,
        /// The branch that the remote's HEAD points to.
        head: Option<String>,
    },
    /// No tag matches the pattern.
    #[error("no tag matches {pattern:?}: push a tag, or change `tag` in the app's file")]
    NoTag {
        /// The pattern.
        pattern: String,
    },
    /// Tags match the pattern, but none of them is a version that may be deployed.
    #[error("no tag that matches {pattern:?} is a release version, such as v1.2.3: there is {}\n  push such a tag, or change `tag` in the app's file; pp-fetcher.toml(5) says what counts as a version", names.join(", "))]
    NoVersion {
        /// The pattern.
        pattern: String,
        /// The names of some of the tags that match.
        names: Vec<String>,
    },
    /// The remote has no such ref.
    #[error("there is no ref {reference:?}: it must be a full name such as refs/heads/main")]
    NoRef {
        /// The ref.
        reference: String,
    },
}

impl RefSelector {
    /// Returns the prefix of every ref that the selector may mean, for the server to filter by.
    #[must_use]
    pub(crate) fn prefix(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::TagGlob(pattern) => format!("refs/tags/{}", glob::literal_prefix(pattern)),
            Self::Ref(name) => name.clone(),
        }
    }

    /// Returns whether the selector may mean a ref of this name.
    #[must_use]
    pub(crate) fn may_mean(&self, name: &str) -> bool {
        match self {
            Self::Branch(_) | Self::Ref(_) => name == self.prefix(),
            Self::TagGlob(pattern) => name
                .strip_prefix("refs/tags/")
                .is_some_and(|tag| glob::matches(pattern, tag)),
        }
    }

    /// Returns the revision that the selector means. Tags for which `passed_over` is true do not count.
    ///
    /// # Errors
    /// [`Unresolved`] says why there is no such revision.
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

    /// Returns the tags that match the pattern and are no versions, sorted by name.
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

/// Returns a tag's name without `refs/tags/`.
#[must_use]
pub(crate) fn tag_of(name: &str) -> &str {
    name.strip_prefix("refs/tags/").unwrap_or(name)
}

/// Returns the version of a tag if the tag may be deployed.
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
