//! The user and the groups of this process.

use nix::unistd::{Gid, User, geteuid, getgroups};

use super::{ByRoot, Finding};
use crate::account::{groups_of, own_name};
use crate::release::place::group;
use crate::space;

const LINK: &str = "user";

pub(super) fn look(by_root: Option<&ByRoot>, tell: &mut dyn FnMut(Finding)) {
    let name = own_name().unwrap_or_else(|| geteuid().to_string());
    let unit = by_root.map(|by_root| by_root.unit.as_deref());
    let place = match (unit, space::in_a_unit()) {
        (Some(Some(unit)), true) => format!("in the sandbox of {unit}"),
        (_, true) => "in a unit of its own".to_owned(),
        (Some(_), false) => "outside of any sandbox: no service polls these apps".to_owned(),
        (None, false) => {
            "outside of any sandbox; as root, pp-fetcher doctor looks from inside of the service's"
                .to_owned()
        }
    };
    tell(Finding::ok(LINK, format!("looked as {name}, {place}")));
    // A service has the groups that its unit and the user database gave it when it was started; a login, those of
    // the time of the login.
    let missing = not_yet_effective();
    if !missing.is_empty() {
        let groups = missing.join(", ");
        tell(Finding::warning(
            LINK,
            format!(
                "{name} was made a member of {groups} after this process's session began, so the membership has no \
                 effect yet\n  log in again; for the service: systemctl restart pp-fetcher"
            ),
        ));
    }
}

/// Gives the groups that the user database has for this user, and this process has not.
fn not_yet_effective() -> Vec<String> {
    let Ok(Some(user)) = User::from_uid(geteuid()) else {
        return Vec::new();
    };
    let mut has: Vec<Gid> = getgroups().unwrap_or_default();
    has.extend([nix::unistd::getegid(), user.gid]);
    let entitled = groups_of(&user).into_iter();
    let missing = entitled.filter(|gid| !has.contains(gid));
    missing.map(group).collect()
}
