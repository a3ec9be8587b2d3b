//! The commands.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use clap::{CommandFactory, Parser, Subcommand};
use jiff::Timestamp;
use nix::unistd::{User, geteuid};
use pp_events::Outbox;
use pp_web::{Client, Url};

use crate::config::{self, Config, Target};
use crate::message::Message;
use crate::run::{self, Run};
use crate::store::Store;
use crate::{clean, journal, targets};

/// Whom pp-notify runs as.
const USER: &str = "pp-notify";

/// The shortest time from one look at the outbox to the next.
const ROUND: Duration = Duration::from_secs(1);

/// The most looks of one process; then systemd starts another.
const MOST_ROUNDS: u32 = 300;

/// What servers are told about who asks.
const AGENT: &str = concat!("pp-notify/", env!("CARGO_PKG_VERSION"));

/// Tells people, forges and monitors what pp-fetcher has done.
#[derive(Debug, Parser)]
#[command(
    name = "pp-notify",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Arguments {
    /// Where the configuration is, instead of /etc/pp-notify
    #[arg(long, global = true, value_name = "DIR", default_value = crate::CONFIG, hide_default_value = true)]
    config: PathBuf,

    /// Where is remembered what was told, instead of /var/lib/pp-notify
    #[arg(long, global = true, value_name = "DIR", default_value = crate::STATE, hide_default_value = true)]
    state: PathBuf,

    /// Where pp-fetcher notes the passes that have ended, instead of /run/pp-passes
    #[arg(long, global = true, value_name = "DIR", default_value = crate::PASSES, hide_default_value = true)]
    passes: PathBuf,

    /// Look at the configuration, the files it names and the outbox, and tell nobody
    ///
    /// Exit status: 0 all is well; 1 a target cannot be told as things are; 2 the configuration is wrong.
    #[arg(long)]
    check: bool,

    /// What to do
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take what is new in the outbox and tell the targets, once; its unit runs this
    ///
    /// Exit status: 0 done, even if a target has to be tried again; 1 what is remembered cannot be read or written;
    /// 2 the configuration is wrong.
    Run,
    /// Tell a target, or all of them, that this is a test
    ///
    /// A forge is not told: a test would be a deployment. Exit status: 0 all were told; 1 one was not.
    Test {
        /// Only this target
        #[arg(value_name = "TARGET")]
        target: Option<String>,
    },
    /// What the targets were told lately, and what waits
    Log {
        /// How many lines
        #[arg(value_name = "LINES", default_value_t = 20)]
        lines: usize,
    },
}

/// The definition, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the program, as its own user even if root has started it. Gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if geteuid().is_root() {
        return become_user();
    }
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(why) => {
            complain(&why);
            return ExitCode::from(2);
        }
    };
    let done = match &arguments.command {
        None => Ok(check(&config)),
        Some(Command::Run) => run(&arguments, &config),
        Some(Command::Test { target }) => test(&config, target.as_deref()),
        Some(Command::Log { lines }) => log(&arguments, *lines),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

/// Starts this program anew as its own user: nothing that an event could reach is done as root.
fn become_user() -> ExitCode {
    if !matches!(User::from_name(USER), Ok(Some(_))) {
        complain("there is no user pp-notify: the package makes it");
        return ExitCode::FAILURE;
    }
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/usr/bin/pp-notify"));
    let error = std::process::Command::new("/usr/bin/setpriv")
        .args([
            &format!("--reuid={USER}"),
            &format!("--regid={USER}"),
            "--init-groups",
            "--",
        ])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .exec();
    complain(&format!("cannot start as {USER}: {error}"));
    ExitCode::FAILURE
}

fn client(config: &Config) -> Result<Client, String> {
    let proxy = config.proxy.as_deref().map(|written| {
        // A proxy is asked in plain http; what goes through it is encrypted.
        Url::parse_proxy(written).map_err(|why| format!("`proxy`: {why}"))
    });
    Ok(Client::new(&config.ca_file, proxy.transpose()?, AGENT))
}

fn run(arguments: &Arguments, config: &Config) -> Result<bool, String> {
    let Some(store) = Store::open(&arguments.state)? else {
        return Ok(true);
    };
    let client = client(config)?;
    let run = Run {
        config,
        store: &store,
        passes: arguments.passes.clone(),
        now: &Timestamp::now,
        tell: &|target, message| targets::tell(target, &client, message),
        say: &complain_for_systemd,
    };
    // systemd does not see what happens while this runs, so it is looked for here, at most once a second: whoever writes
    // events without end costs no more than that.
    for _ in 0..MOST_ROUNDS {
        let before = stamps(config);
        run.run()?;
        sleep(ROUND);
        if stamps(config) == before {
            break;
        }
    }
    Ok(true)
}

/// When each outbox was last written, and how long it is.
fn stamps(config: &Config) -> Vec<Option<(u64, SystemTime)>> {
    let stamp = |outbox: &PathBuf| {
        let found = std::fs::symlink_metadata(Outbox::new(outbox).file()).ok()?;
        Some((found.len(), found.modified().ok()?))
    };
    config.outboxes.iter().map(stamp).collect()
}

fn test(config: &Config, only: Option<&str>) -> Result<bool, String> {
    let chosen: Vec<&Target> = config
        .target
        .iter()
        .filter(|target| only.is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = config
            .target
            .iter()
            .map(|target| target.name.as_str())
            .collect();
        let names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Err(format!("there is no such target (configured: {names})"));
    }
    let client = client(config)?;
    let message = Message::test(&pp_events::host_name(), Timestamp::now());
    let mut well = true;
    for target in chosen {
        let line = match target.kind {
            config::TargetKind::Forge => match targets::check(target) {
                Ok(()) => {
                    "not told, as a test would be a deployment; its files are as they should be"
                        .to_owned()
                }
                Err(why) => {
                    well = false;
                    format!("FAILED: {why}")
                }
            },
            _ => match targets::tell(target, &client, &message) {
                Ok(()) => "told".to_owned(),
                Err(fault) => {
                    well = false;
                    format!("FAILED: {}", fault.why)
                }
            },
        };
        say(&format!("{}: {line}", target.name));
    }
    Ok(well)
}

fn check(config: &Config) -> bool {
    let mut well = true;
    let mut line = |name: &str, found: Result<String, String>| match found {
        Ok(what) => say(&format!("ok    {name}: {what}")),
        Err(why) => {
            well = false;
            say(&format!("FAIL  {name}: {why}"));
        }
    };
    for outbox in &config.outboxes {
        let read = Outbox::new(outbox).read();
        let found = read.map(|events| format!("{} events", events.len()));
        line(
            &outbox.display().to_string(),
            found.map_err(|error| error.to_string()),
        );
    }
    if config.target.iter().any(targets::is_over_tls) {
        let trusted =
            client(config).and_then(|client| client.trust().map_err(|error| error.to_string()));
        line(
            "ca_file",
            trusted.map(|()| config.ca_file.display().to_string()),
        );
    }
    for target in &config.target {
        let found = targets::check(target).map(|()| "its files and programs are there".to_owned());
        line(&target.name, found);
    }
    if config.target.is_empty() {
        say("no target is configured: nobody is told anything");
    }
    well
}

fn log(arguments: &Arguments, lines: usize) -> Result<bool, String> {
    let found = journal::last(&arguments.state, lines);
    let found = found.map_err(|error| format!("{}: {error}", arguments.state.display()))?;
    if found.is_empty() {
        say("nobody was told anything yet");
    }
    for line in &found {
        let when = line.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let why = line
            .why
            .as_deref()
            .map(|why| format!(": {}", clean::line(why, 300)));
        let (target, title) = (clean::word(&line.target), clean::line(&line.title, 200));
        let outcome = clean::word(&line.outcome);
        say(&format!(
            "{when}  {target}  {outcome}  {title}{}",
            why.unwrap_or_default()
        ));
    }
    if let Some(store) = Store::open(&arguments.state)? {
        for (name, (queue, held_back)) in run::waiting(&store.load()?) {
            if queue + held_back > 0 {
                say(&format!(
                    "{}: {queue} wait to be told, {held_back} are held back for a digest",
                    clean::word(name)
                ));
            }
        }
    }
    Ok(true)
}

fn say(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

fn complain(text: &str) {
    let _ = writeln!(anstream::stderr(), "pp-notify: {text}");
}

/// Writes a line that begins with its priority, as journald reads it (sd-daemon(3)); a person sees none.
fn complain_for_systemd(line: &str) {
    let known = std::env::var_os("JOURNAL_STREAM").is_some();
    let plain = line.get(3..).unwrap_or(line);
    let line = if known { line } else { plain };
    let _ = writeln!(std::io::stderr(), "{line}");
}
