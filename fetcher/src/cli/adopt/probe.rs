//! With which status the live app answers: so the probe of every release expects it from now on.

use super::ask_user;
use super::find::Found;
use crate::account::Account;
use crate::adopt::for_user::Task;
use crate::cli::setup::stage::Staged;

/// Asks the live app, and fits the probe to its answer. Gives whether the description has changed.
pub(super) fn health(
    found: &mut Found,
    account: &Account,
    staged: &Staged,
) -> Result<bool, String> {
    let Some(url) = found.wanted.probe() else {
        return Ok(false);
    };
    let app = (staged.directory.path(), found.wanted.app.as_str());
    let done = ask_user(account, &Task::Ask, Some(app))?;
    match done.answer {
        None | Some(Ok(200)) => Ok(false),
        Some(Ok(status)) if status < 400 => {
            found.wanted.health_expect = Some(status);
            Ok(true)
        }
        Some(Ok(400)) => Err(format!(
            "nothing was changed: the app answers 400 at {url}, so the name that it is asked by is not its own\n  say one of \
             its ALLOWED_HOSTS: --health-host todo.example.org"
        )),
        Some(Ok(status)) => Err(format!(
            "nothing was changed: the app answers {status} at {url}, so no probe could tell whether a release is well\n  say a \
             page that answers 200: --health-url {url}…"
        )),
        Some(Err(why)) => Err(format!(
            "nothing was changed: the app does not answer at {url}: {why}\n  say where it does: --health-url URL"
        )),
    }
}
