//! Turns the text of one policy file into entries of a [`Policy`], or into one exact [`Problem`].

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pp_protocol::{UnitName, Verb};
use pp_trusted::Refused;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::{Names, is_nobody};
use super::{Limit, Policy, Unit, Who, forbidden};

/// A mistake in a policy file: where it is, what is wrong, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{}: {what}: {help}", path.display(), at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
pub struct Problem {
    /// The file or directory with the mistake.
    pub path: PathBuf,
    /// Line and column of the mistake, both counted from 1, if it lies within the text; columns count
    /// characters.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// How an administrator corrects the mistake.
    pub help: String,
}

impl Problem {
    /// Creates a problem of a whole file.
    pub(super) fn of(path: &Path, what: &str, help: &str) -> Self {
        Self {
            path: path.to_owned(),
            at: None,
            what: what.to_owned(),
            help: help.to_owned(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let Refused { path, what, help } = refused;
        Self {
            path,
            at: None,
            what,
            help,
        }
    }
}

/// Adds to `policy` what the file at `path`, whose content is `text`, allows.
///
/// # Errors
/// The first [`Problem`] of the file. `policy` may hold a part of the file's entries then and must not be used.
pub fn add(policy: &mut Policy, path: &Path, text: &str, names: &dyn Names) -> Result<(), Problem> {
    let file = File { path, text, names };
    let document = DeTable::parse(text).map_err(|error| {
        let help = "the file must be TOML, see pp-restarter-policy(5)";
        file.problem(error.span().unwrap_or(0..0), error.message(), help)
    })?;
    for (key, value) in document.get_ref() {
        file.known(key, &["allow"])?;
        let help = "write each entry as a table of its own, beginning with [[allow]]";
        let entries = value.get_ref().as_array();
        for entry in entries.ok_or_else(|| file.problem(key.span(), "`allow` is no list", help))? {
            let table = entry.get_ref().as_table();
            let table = table.ok_or_else(|| file.problem(entry.span(), "no table", help))?;
            file.entry(policy, table, entry.span())?;
        }
    }
    Ok(())
}

type Text = Spanned<String>;

/// What one `[[allow]]` entry allows for each of its units. Each part has its position in the text.
struct Grants {
    verbs: Vec<(Verb, Range<usize>)>,
    who: Vec<(Who, Range<usize>)>,
    limit: Option<(Limit, Range<usize>)>,
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    names: &'a dyn Names,
}

impl File<'_> {
    fn problem(&self, span: Range<usize>, what: impl Into<String>, help: &str) -> Problem {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Problem {
            path: self.path.to_owned(),
            at: Some((line, column)),
            what: what.into(),
            help: help.to_owned(),
        }
    }

    fn known(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        known: &[&str],
    ) -> Result<(), Problem> {
        let name = key.get_ref().as_ref();
        if known.contains(&name) {
            return Ok(());
        }
        let nearest = known
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        let help = match nearest.filter(|near| strsim::jaro_winkler(name, near) > 0.7) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Err(self.problem(key.span(), format!("unknown key {name:?}"), &help))
    }

    fn entry(
        &self,
        policy: &mut Policy,
        table: &DeTable<'_>,
        span: Range<usize>,
    ) -> Result<(), Problem> {
        let (mut units, mut verbs, mut who) = (Vec::new(), Vec::new(), Vec::new());
        let mut limit = None;
        for (key, value) in table {
            self.known(key, &["units", "verbs", "users", "groups", "limit"])?;
            match key.get_ref().as_ref() {
                "units" => units = self.each(value, false, |name| self.unit(name))?,
                "verbs" => verbs = self.each(value, false, |verb| self.verb(verb))?,
                "users" => who.extend(self.each(value, true, |name| self.user(name))?),
                "groups" => who.extend(self.each(value, true, |name| self.group(name))?),
                _ => limit = Some((self.limit(value)?, value.span())),
            }
        }
        if units.is_empty() {
            let help = "name the units, such as units = [\"gunicorn.todo_django.service\"]";
            return Err(self.problem(span, "this entry has no `units`", help));
        }
        if who.is_empty() {
            let help = "name who may do it, such as groups = [\"hosted_apps\"]";
            return Err(self.problem(span, "this entry has neither `users` nor `groups`", help));
        }
        if verbs.is_empty() {
            verbs.push((Verb::Restart, span));
        }
        let grants = Grants { verbs, who, limit };
        units
            .into_iter()
            .try_for_each(|(name, at)| self.grant(policy, name, &at, &grants))
    }

    /// Adds to `policy` what an entry allows for one of its units. `at` is the position of the unit's name.
    fn grant(
        &self,
        policy: &mut Policy,
        name: UnitName,
        at: &Range<usize>,
        grants: &Grants,
    ) -> Result<(), Problem> {
        let Grants { verbs, who, limit } = grants;
        let of_entry = limit.as_ref().map_or(Limit::DEFAULT, |(limit, _)| *limit);
        let place = policy.units.iter().position(|unit| unit.name == name);
        if place.is_none() {
            policy.units.push(Unit {
                name: name.clone(),
                limit: of_entry,
                grants: Vec::new(),
            });
        }
        let place = place.unwrap_or(policy.units.len().saturating_sub(1));
        let Some(unit) = policy.units.get_mut(place) else {
            return Ok(());
        };
        if unit.limit != of_entry {
            return Err(self.problem(
                at.clone(),
                format!("{name} has another limit in another entry"),
                "a unit has one limit: give both entries the same",
            ));
        }
        for (verb, _) in verbs {
            for (who, at) in who {
                if unit.grants.contains(&(*verb, *who)) {
                    let what = format!("{} of {name} is allowed to them already", verb.as_str());
                    return Err(self.problem(at.clone(), what, "remove the repetition"));
                }
                unit.grants.push((*verb, *who));
            }
        }
        let starts = verbs.iter().any(|(verb, _)| *verb != Verb::Reload);
        match limit {
            Some((limit, at)) if starts && limit.in_ten_seconds() > 4 => {
                let what = format!(
                    "this allows {} restarts in ten seconds",
                    limit.in_ten_seconds()
                );
                let help = "systemd stops a unit that is started more than 5 times in ten seconds: allow 4 at most";
                Err(self.problem(at.clone(), what, help))
            }
            _ => Ok(()),
        }
    }

    /// Reads a list of strings. Returns what `read` makes of each string, with its position in the text. `empty`
    /// says whether the list may be empty.
    fn each<T: PartialEq>(
        &self,
        value: &Spanned<DeValue<'_>>,
        empty: bool,
        mut read: impl FnMut(&Text) -> Result<T, Problem>,
    ) -> Result<Vec<(T, Range<usize>)>, Problem> {
        let help = "write a list of strings, such as [\"a\", \"b\"]";
        let list = value.get_ref().as_array();
        let list = list.ok_or_else(|| self.problem(value.span(), "not a list", help))?;
        if list.is_empty() && !empty {
            return Err(self.problem(
                value.span(),
                "this list is empty",
                "leave the line out or name somebody or something",
            ));
        }
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for item in list {
            let text = item.get_ref().as_str();
            let text = text.ok_or_else(|| self.problem(item.span(), "not a string", help))?;
            if !seen.insert(text) {
                return Err(self.problem(
                    item.span(),
                    format!("{text:?} is in the list twice"),
                    "remove one",
                ));
            }
            found.push((
                read(&Spanned::new(item.span(), text.to_owned()))?,
                item.span(),
            ));
        }
        Ok(found)
    }

    fn unit(&self, name: &Text) -> Result<UnitName, Problem> {
        let unit = UnitName::parse(name.get_ref()).map_err(|error| {
            let help = "write the unit's whole name, such as gunicorn.todo_django.service";
            self.problem(name.span(), format!("{:?}: {error}", name.get_ref()), help)
        })?;
        if forbidden::is_forbidden(&unit) {
            let what = format!("{unit} can never be allowed");
            let help = "restarting it could cut off the host or the restarter: leave it to root";
            return Err(self.problem(name.span(), what, help));
        }
        Ok(unit)
    }

    fn verb(&self, verb: &Text) -> Result<Verb, Problem> {
        Verb::ALL
            .into_iter()
            .find(|known| known.as_str() == verb.get_ref())
            .ok_or_else(|| {
                let what = format!("unknown verb {:?}", verb.get_ref());
                self.problem(
                    verb.span(),
                    what,
                    "it is \"restart\", \"try-restart\" or \"reload\"",
                )
            })
    }

    fn user(&self, name: &Text) -> Result<Who, Problem> {
        Ok(Who::User(self.id(
            name,
            "user",
            self.names.uid(name.get_ref()),
        )?))
    }

    fn group(&self, name: &Text) -> Result<Who, Problem> {
        Ok(Who::Group(self.id(
            name,
            "group",
            self.names.gid(name.get_ref()),
        )?))
    }

    fn id(&self, name: &Text, kind: &str, found: nix::Result<Option<u32>>) -> Result<u32, Problem> {
        let what = match found {
            Ok(Some(id)) if !is_nobody(id) => return Ok(id),
            Ok(Some(id)) => format!(
                "{kind} {:?} is id {id}, which stands for nobody in particular",
                name.get_ref()
            ),
            Ok(None) => format!("there is no {kind} {:?}", name.get_ref()),
            Err(error) => format!("{kind} {:?} cannot be looked up ({error})", name.get_ref()),
        };
        Err(self.problem(
            name.span(),
            what,
            &format!("name a {kind} that exists on this host"),
        ))
    }

    fn limit(&self, value: &Spanned<DeValue<'_>>) -> Result<Limit, Problem> {
        let help = "write limit = { burst = 3, every = \"15s\" }";
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.problem(value.span(), "not a table", help))?;
        let mut limit = Limit::DEFAULT;
        for (key, value) in table {
            self.known(key, &["burst", "every"])?;
            if key.get_ref() == "burst" {
                let number = value.get_ref().as_integer();
                let number = number.and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
                limit.burst = number.filter(|n| (1..=100).contains(n)).ok_or_else(|| {
                    self.problem(value.span(), "`burst` is no number from 1 to 100", help)
                })?;
            } else {
                let text = value.get_ref().as_str();
                limit.every = text.and_then(duration).ok_or_else(|| {
                    self.problem(value.span(), "`every` is no time from 1s to 1h", help)
                })?;
            }
        }
        if limit.refill() > Limit::LONGEST {
            let what = "a used-up limit would take more than an hour to fill up";
            return Err(self.problem(value.span(), what, "lower `burst` or `every`"));
        }
        Ok(limit)
    }
}

/// Parses a time such as `15s`, `2m` or `1h`, from one second to one hour.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number = text.strip_suffix(unit)?;
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = number.parse().ok().filter(|_| digits)?;
    let duration = Duration::from_secs(count.checked_mul(seconds)?);
    (Duration::from_secs(1)..=Limit::LONGEST)
        .contains(&duration)
        .then_some(duration)
}
