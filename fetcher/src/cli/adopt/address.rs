//! Where the live app answers, and by which name.

use crate::adopt::units::{self, Service};
use crate::setup::apply;
use crate::setup::commands::Program;

/// Gives the URL at which the first of the units answers.
pub(super) fn url(services: &[Service]) -> Option<String> {
    let first = services.first()?;
    let bound = units::bound_to(&first.command).or_else(|| {
        let socket = first
            .triggered_by
            .iter()
            .find(|unit| unit.ends_with(".socket"))?;
        let shown = Program::Systemctl.answer(&["show", "--property", "Listen", "--value", socket]);
        Some(shown.lines().next()?.to_owned())
    });
    units::url(&bound?)
}

/// Gives the name that nginx has for what is served at this URL: an app answers to it.
pub(super) fn server_name(url: &str) -> Option<String> {
    let place = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .or_else(|| {
            url.strip_prefix("unix:")
                .map(|rest| rest.trim_end_matches(":/"))
        })?;
    // Of an address its port: nginx may have localhost where the unit has 127.0.0.1.
    let place = place.rsplit_once(':').map_or(place, |(_, port)| port);
    let sites = std::fs::read_dir("/etc/nginx/sites-enabled")
        .ok()?
        .flatten();
    // A link may lead to where others than root can write: a file there is not read.
    let mut texts = sites.filter_map(|site| {
        let site = site.path().canonicalize().ok()?;
        apply::read(&site).ok().flatten()
    });
    texts.find_map(|text| {
        let serves = text
            .lines()
            .any(|line| !line.trim().starts_with('#') && line.contains(place));
        let names = text
            .lines()
            .map(str::trim)
            .find_map(|line| line.strip_prefix("server_name "));
        let name = names?.trim_end_matches(';').split_whitespace().next()?;
        (serves && name != "_").then(|| name.to_owned())
    })
}
