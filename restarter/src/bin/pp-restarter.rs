//! The program `pp-restarter`: the service, and `--check` for administrators.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pp_restarter::policy::files::{self, PolicyDirectories};
use pp_restarter::policy::{check, names};
use pp_restarter::{audit, daemon};

const HELP: &str = "\
Restarts the systemd units that its policy allows, for those it allows them to.

Usage: pp-restarter                 the service; systemd starts it, see pp-restarter.socket
       pp-restarter --check [DIR]   reads the policy as the service would and says what it allows
       pp-restarter --version | --help

The policy is /etc/pp-restarter/policy.d/*.toml, see pp-restarter-policy(5). To restart a unit: pp-restart(1).
";

/// Least time from the start to the end of a service that fails. systemd starts the service again for every
/// waiting connection, and gives up on the socket if it counts twenty starts in two seconds.
const PACE: Duration = Duration::from_secs(2);

/// Least time from the start to the end of a service that ends without an error, as it does whenever the policy
/// has changed. A user who can have a file such as `/etc/passwd` written again and again must not be able to
/// make systemd give up on the socket.
const LEAST: Duration = Duration::from_millis(150);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let ended = match words.as_slice() {
        _ if words.len() != arguments.len() => return usage(),
        [] => return service(),
        ["front"] => daemon::front(),
        #[cfg(feature = "selftest")]
        ["selftest"] => daemon::selftest::monitor(),
        #[cfg(feature = "selftest")]
        ["selftest-front"] => daemon::selftest::front(),
        ["--check"] => return checked(files::DIRECTORY.into()),
        ["--check", directory] => return checked(directory.into()),
        ["--version"] => {
            println!("pp-restarter {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        ["--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => return usage(),
    };
    let Err(failure) = ended else {
        return ExitCode::SUCCESS;
    };
    failed(&failure.to_string())
}

fn service() -> ExitCode {
    let start = Instant::now();
    let ended = daemon::monitor();
    std::thread::sleep(LEAST.saturating_sub(start.elapsed()));
    match ended {
        Ok(None) => ExitCode::SUCCESS,
        // The service has served as much of the policy as was valid. It exits as failed all the same, so
        // that `systemctl --failed` shows the mistake in the policy.
        Ok(Some(wrong)) => failed(&wrong),
        Err(failure) => {
            let code = failed(&failure.to_string());
            std::thread::sleep(PACE.saturating_sub(start.elapsed()));
            code
        }
    }
}

fn failed(why: &str) -> ExitCode {
    if !audit::is_open() {
        eprintln!("pp-restarter: {why}");
    }
    audit::alarm("stop", why);
    ExitCode::FAILURE
}

fn usage() -> ExitCode {
    eprint!("{HELP}");
    ExitCode::from(2)
}

/// Carries out `--check` and returns its exit code. 0: the service would accept the policy in `directory`.
/// 1: the service would refuse the policy, or leave out a file of it.
fn checked(directory: PathBuf) -> ExitCode {
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    match files::load(&PolicyDirectories::with_policy(&directory), &names::System) {
        Ok(loaded) => {
            loaded
                .warnings
                .iter()
                .for_each(|warning| eprintln!("warning: {warning}"));
            // A reader that closes the pipe early, such as `head`, is no reason to fail.
            let _ = std::io::stdout().write_all(check::describe(&loaded.policy).as_bytes());
            for problem in &loaded.left_out {
                eprintln!("{problem}");
            }
            if loaded.left_out.is_empty() {
                return ExitCode::SUCCESS;
            }
            eprintln!("the service allows nothing of what is in such a file; the other files hold");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
