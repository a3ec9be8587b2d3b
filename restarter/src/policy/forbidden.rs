//! Units that no policy can allow, because restarting them cuts off the host, or the restarter itself.

use pp_protocol::UnitName;

/// Names that are forbidden if the whole name matches, without `.service` and without the instance.
const NAMES: &[&str] = &[
    "NetworkManager",
    "dbus",
    "dbus-broker",
    "display-manager",
    "emergency",
    "getty",
    "console-getty",
    "container-getty",
    "serial-getty",
    "ifup",
    "networking",
    "nftables",
    "polkit",
    "polkitd",
    "rescue",
    "ssh",
    "sshd",
    "ssh-session",
    "user",
    "user-runtime-dir",
    "wpa_supplicant",
];

/// Beginnings of forbidden names: systemd's own services, their aliases on the bus, and the services of this
/// project.
const PREFIXES: &[&str] = &[
    "dbus-org.",
    "initrd-",
    "pp-fetcher",
    "pp-restarter",
    "pp-ssh-agent",
    "systemd-",
];

/// Returns whether `unit` is forbidden: a policy file that lists it has a mistake.
#[must_use]
pub(crate) fn is_forbidden(unit: &UnitName) -> bool {
    let name = unit.as_str();
    let stem = name.strip_suffix(".service").unwrap_or(name);
    let stem = stem.split('@').next().unwrap_or(stem);
    NAMES.contains(&stem) || PREFIXES.iter().any(|prefix| stem.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_7_units_that_would_cut_off_the_host_are_never_allowed() {
        for (name, forbidden) in [
            ("ssh.service", true),
            ("ssh@1.service", true),
            ("sshd.service", true),
            ("dbus.service", true),
            ("dbus-org.freedesktop.login1.service", true),
            ("systemd-logind.service", true),
            ("systemd-journald@x.service", true),
            ("polkit.service", true),
            ("user@1000.service", true),
            ("getty@tty1.service", true),
            ("pp-restarter.service", true),
            ("pp-fetcher.service", true),
            ("gunicorn.todo_django.service", false),
            ("sshfs.service", false),
            ("user-accounts.service", false),
        ] {
            assert_eq!(
                is_forbidden(&UnitName::parse(name).unwrap()),
                forbidden,
                "{name}"
            );
        }
    }
}
