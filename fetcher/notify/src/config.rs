//! The configuration: `/etc/pp-notify/config.toml`, with one table for each target.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use pp_events::Kind;
use pp_web::{AUTHORITIES, Forge, Url};
use serde::Deserialize;

/// The most bytes of the file that are read.
const LARGEST: u64 = 256 * 1024;

/// The configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The directories of the outboxes that are read.
    #[serde(default = "outboxes")]
    pub(crate) outboxes: Vec<PathBuf>,
    /// The authorities that vouch for servers, as PEM.
    #[serde(default = "authorities")]
    pub(crate) ca_file: PathBuf,
    /// The proxy for https, as `http://host:port`.
    pub(crate) proxy: Option<String>,
    /// The targets.
    #[serde(default)]
    pub(crate) target: Vec<Target>,
}

/// Somebody who is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// The target's name, in the log and on the command line.
    pub(crate) name: String,
    /// What the target is.
    #[serde(rename = "type")]
    pub(crate) kind: TargetKind,
    /// The apps that the target is told of; all if left out.
    pub(crate) apps: Option<Vec<String>>,
    /// The kinds of events that the target is told; the usual ones if left out.
    pub(crate) events: Option<Vec<Kind>>,
    /// The address.
    pub(crate) url: Option<String>,
    /// The file with the address, if the address is a secret.
    pub(crate) url_file: Option<PathBuf>,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// matrix: the room, such as `!abc:example.org`. ntfy: the topic.
    pub(crate) room: Option<String>,
    /// forge: the repository as the forge names it, `owner/name`.
    pub(crate) repository: Option<String>,
    /// forge: which forge.
    pub(crate) forge: Option<Forge>,
    /// forge, for GitLab: the branch that is named with a deployment.
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
    /// mail: the addresses of those who get it.
    pub(crate) to: Option<Vec<String>>,
    /// mail: the address of the sender.
    pub(crate) from: Option<String>,
    /// mail: the program, if it is not `/usr/sbin/sendmail`; command: the program and its arguments.
    pub(crate) command: Option<Vec<String>>,
}

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TargetKind {
    /// The event as JSON, posted to an address.
    Webhook,
    /// Slack's incoming webhooks, which Mattermost and Rocket.Chat have too.
    Slack,
    /// A room of Matrix.
    Matrix,
    /// A topic of ntfy.
    Ntfy,
    /// Discord's webhooks.
    Discord,
    /// A mail, by the host's sendmail.
    Mail,
    /// Deployments or statuses at the forge.
    Forge,
    /// A program of the administrator's, with the event on its standard input.
    Command,
    /// An address that is asked after each finished pass.
    Heartbeat,
}

fn outboxes() -> Vec<PathBuf> {
    vec![PathBuf::from(pp_events::HOST)]
}

fn authorities() -> PathBuf {
    PathBuf::from(AUTHORITIES)
}

impl Target {
    /// Whether the target is told of this app; `None` for what concerns all apps of the host.
    pub(crate) fn concerns(&self, app: Option<&str>) -> bool {
        match (&self.apps, app) {
            (None, _) => true,
            (Some(_), None) => true,
            (Some(apps), Some(app)) => apps.iter().any(|name| name == app),
        }
    }

    /// Whether the target is told of events of this kind.
    pub(crate) fn wants(&self, kind: Kind) -> bool {
        let kinds = self.events.as_ref();
        kinds.map_or(kind != Kind::Held, |kinds| kinds.contains(&kind))
    }

    /// Says what is missing or too much in the table.
    fn fault(&self) -> Option<String> {
        use TargetKind as K;
        let address = self.url.is_some() || self.url_file.is_some();
        let missing = |key: &str, why: &str| Some(format!("`{key}` is missing: {why}"));
        if self.name.is_empty() || crate::clean::word(&self.name) != self.name {
            return Some("`name` must be of letters, digits, '.', '_' and '-'".to_owned());
        }
        if self.url.is_some() && self.url_file.is_some() {
            return Some("only one of `url` and `url_file` can be used".to_owned());
        }
        if let Some(Err(why)) = self.url.as_deref().map(Url::parse) {
            return Some(format!("`url`: {why}"));
        }
        match self.kind {
            K::Heartbeat if self.events.is_some() => {
                Some("`events` has no meaning here: the address is asked after polls".to_owned())
            }
            K::Webhook | K::Slack | K::Discord | K::Heartbeat | K::Matrix | K::Ntfy if !address => {
                missing(
                    "url",
                    "the address; or `url_file`, a file with it, where it is a secret",
                )
            }
            K::Matrix if self.room.is_none() => missing("room", "such as !abc:example.org"),
            K::Matrix if self.token_file.is_none() => {
                missing("token_file", "the file with the access token")
            }
            K::Ntfy if self.room.is_none() => missing("room", "the topic"),
            K::Mail if self.to.as_ref().is_none_or(Vec::is_empty) => {
                missing("to", "the addresses, such as [\"ops@example.org\"]")
            }
            K::Mail => self
                .to
                .iter()
                .flatten()
                .chain(&self.from)
                .find(|address| !is_address(address))
                .map(|address| format!("{address:?} is no address of mail")),
            K::Command if self.command.as_ref().is_none_or(Vec::is_empty) => missing(
                "command",
                "the program and its arguments, such as [\"/usr/bin/apprise\", \"-b\", …]",
            ),
            K::Forge => self.forge_fault(),
            _ => None,
        }
    }

    fn forge_fault(&self) -> Option<String> {
        let missing = |key: &str, why: &str| Some(format!("`{key}` is missing: {why}"));
        match self {
            Self { forge: None, .. } => missing("forge", "\"github\", \"gitlab\" or \"gitea\""),
            Self {
                repository: None, ..
            } => missing("repository", "as the forge names it, such as \"me/todo\""),
            Self {
                token_file: None, ..
            } => missing("token_file", "the file with the token"),
            Self { apps: None, .. } => {
                missing("apps", "the app that is deployed from this repository")
            }
            Self {
                forge: Some(Forge::Gitlab),
                reference: None,
                ..
            } => missing(
                "ref",
                "the branch or tag that GitLab shows with a deployment, such as \"main\"",
            ),
            Self {
                forge: Some(Forge::Gitea),
                url: None,
                url_file: None,
                ..
            } => missing(
                "url",
                "the forge's address, such as https://git.example.org",
            ),
            Self {
                repository: Some(name),
                forge: Some(forge),
                ..
            } => {
                let parts = name.split('/').filter(|part| !part.is_empty()).count();
                let fits = match forge {
                    Forge::Gitlab => parts >= 2,
                    Forge::Github | Forge::Gitea => parts == 2,
                };
                (!fits).then(|| format!("`repository`: {name:?} is not owner/name"))
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
    // A dash at its beginning would be an option of sendmail.
    !text.starts_with('-')
        && text.chars().all(plain)
        && text.split('@').count() == 2
        && !text.starts_with('@')
        && !text.ends_with('@')
}

/// Reads the configuration in `directory`.
///
/// # Errors
/// A sentence: which file, which line, what is wrong, what to do.
pub(crate) fn load(directory: &Path) -> Result<Config, String> {
    let path = directory.join("config.toml");
    let wrong = |what: String| format!("{}: {what}", path.display());
    let found = std::fs::metadata(&path).map_err(|error| {
        wrong(format!(
            "{error}; /usr/share/doc/pp-notify/examples/notify/config.toml is one to begin with"
        ))
    })?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(wrong("is no configuration file".to_owned()));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let config: Config = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut names = HashSet::new();
    for target in &config.target {
        let of = |what: String| wrong(format!("target {:?}: {what}", target.name));
        if let Some(fault) = target.fault() {
            return Err(of(fault));
        }
        if !names.insert(&target.name) {
            return Err(of("there are two of this name".to_owned()));
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.toml"), text).unwrap();
        load(directory.path()).err().unwrap_or_default()
    }

    #[test]
    fn a_mistake_is_told_with_the_target_and_the_key() {
        let slack = "[[target]]\nname = \"team\"\ntype = \"slack\"\n";
        for (text, why) in [
            ("", ""),
            (
                &format!("{slack}url = \"https://hooks.example.org/x\"\n"),
                "",
            ),
            (slack, "`url` is missing"),
            (
                &format!("{slack}url = \"http://hooks.example.org/x\"\n"),
                "plain http",
            ),
            (
                &format!("{slack}chanel = \"x\"\n"),
                "unknown field `chanel`",
            ),
            (
                "[[target]]\nname = \"a b\"\ntype = \"slack\"\n",
                "`name` must be",
            ),
            (
                "[[target]]\nname = \"m\"\ntype = \"mail\"\nto = [\"-oQ/tmp@x\"]\n",
                "no address",
            ),
            (
                "[[target]]\nname = \"m\"\ntype = \"mail\"\nto = [\"a@b\\nBcc: c@d\"]\n",
                "no address",
            ),
            (
                "[[target]]\nname = \"f\"\ntype = \"forge\"\nforge = \"github\"\nrepository = \"me\"\ntoken_file = \"/x\"\napps = [\"a\"]\n",
                "not owner/name",
            ),
            (
                "[[target]]\nname = \"f\"\ntype = \"carrier-pigeon\"\n",
                "unknown variant",
            ),
        ] {
            let fault = fault(text);
            assert!(
                fault.contains(why) && fault.is_empty() == why.is_empty(),
                "{text}: {fault}"
            );
        }
    }
}
