//! The plan of a set-up: every file with its text, every directory with its mode. Pure: made from what is wanted, and
//! shown before anything is done.

use std::path::{Path, PathBuf};

use super::app_file;
use super::examples;
use super::mark::{self, mark};
use super::places::Places;
use super::wanted::{Listen, Wanted};

/// Everything that a set-up makes.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The deploy key, if the repository is reached by ssh.
    pub key: Option<PathBuf>,
    /// Directories of the apps' user, with their modes; each above those in it.
    pub directories: Vec<(PathBuf, u32)>,
    /// The files, in the order in which they are written. The app's own is the last: before it is there, no service
    /// polls the app.
    pub files: Vec<PlannedFile>,
}

impl Plan {
    /// The files that are for this.
    pub(crate) fn used_by(&self, used_by: FileUse) -> impl Iterator<Item = &PlannedFile> {
        self.files
            .iter()
            .filter(move |file| file.used_by == used_by)
    }
}

/// A file that a set-up makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedFile {
    /// The file's path.
    pub path: PathBuf,
    /// The file's whole text.
    pub text: String,
    /// What the file is for.
    pub used_by: FileUse,
}

/// What a file is for: it decides what has to be told that the file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileUse {
    /// The restarter reads it, by itself.
    Policy,
    /// A unit that systemd starts at boot, from now on.
    Unit,
    /// A drop-in of the service that polls: the service has to be restarted.
    ServiceDropIn,
    /// A site of nginx: it takes a link in sites-enabled.
    Site,
    /// The app's configuration: the service reads it at a reload.
    App,
}

/// Makes the plan. `allowed` names the units that the restarter's policy lets the owner restart already.
#[must_use]
pub(crate) fn plan(wanted: &Wanted, allowed: &[String]) -> Plan {
    let mut files = Vec::new();
    let mut file = |path: PathBuf, text: String, used_by| {
        files.push(PlannedFile {
            path,
            text: mark::seal(&text),
            used_by,
        });
    };
    let places = Places::of(&wanted.app, &wanted.owner);
    let new: Vec<_> = wanted
        .units
        .iter()
        .filter(|unit| !allowed.contains(unit))
        .collect();
    if !new.is_empty() {
        file(places.policy, policy(wanted, &new), FileUse::Policy);
    }
    if let Some((gunicorn, listen)) = wanted.gunicorn.as_ref().zip(wanted.listen) {
        if listen == Listen::Socket {
            file(places.socket, examples::socket(wanted), FileUse::Unit);
        }
        let text = examples::service(wanted, gunicorn, listen);
        file(places.gunicorn, text, FileUse::Unit);
    }
    if let Some(text) = drop_in(wanted) {
        file(places.drop_in, text, FileUse::ServiceDropIn);
    }
    if let Some((server, listen)) = wanted.nginx.as_ref().zip(wanted.listen) {
        let text = examples::site(wanted, server, listen);
        file(places.site, text, FileUse::Site);
    }
    file(places.app, app_file::text(wanted), FileUse::App);
    Plan {
        key: wanted.by_ssh.then(|| wanted.key()),
        directories: directories(wanted),
        files,
    }
}

/// The directories of the app. Those below the root are made by the first deploy.
fn directories(wanted: &Wanted) -> Vec<(PathBuf, u32)> {
    // As in the old way: each member of the group can change what another member has made. Nobody else has to look
    // into an app of a user of its own.
    let mode = if wanted.owner.own { 0o2770 } else { 0o2775 };
    let all = std::iter::once(&wanted.root).chain(&wanted.static_root);
    all.map(|path| (path.clone(), mode)).collect()
}

fn policy(wanted: &Wanted, units: &[&String]) -> String {
    let units: Vec<_> = units.iter().map(|unit| format!("{unit:?}")).collect();
    let who = match wanted.owner.own {
        true => format!("users  = [{:?}]", wanted.owner.user),
        false => format!("groups = [{:?}]", wanted.owner.group),
    };
    format!(
        "{} Who may have these units restarted: pp-restarter-policy(5).\n[[allow]]\nunits  = [{}]\n{who}\n",
        mark(&wanted.app),
        units.join(", ")
    )
}

/// The drop-in by which the service may write where the app's directories are, if its unit does not say so.
fn drop_in(wanted: &Wanted) -> Option<String> {
    let writable = wanted.owner.writable();
    let inside = |path: &Path| writable.iter().any(|above| path.starts_with(above));
    let all = std::iter::once(&wanted.root).chain(&wanted.static_root);
    let outside: Vec<_> = all.filter(|path| !inside(path)).collect();
    if outside.is_empty() {
        return None;
    }
    let lines: String = outside
        .iter()
        .map(|path| format!("ReadWritePaths=-{}\n", path.display()))
        .collect();
    Some(format!(
        "{} Where the app's builds write.\n[Service]\n{lines}",
        mark(&wanted.app)
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::wanted::{Gunicorn, Owner};
    use super::*;

    /// An app under gunicorn on port 8017.
    pub(crate) fn wanted() -> Wanted {
        Wanted {
            app: "todo".into(),
            owner: Owner {
                user: "gunicorn".into(),
                group: "hosted_apps".into(),
                own: false,
            },
            repository: "ssh://git@forge.example.org/shop/todo.git".into(),
            by_ssh: true,
            follow: ("branch", "main".into()),
            interval: None,
            ssh_config: None,
            known_hosts: "/etc/pp-fetcher/known_hosts".into(),
            root: "/var/www/projects/todo".into(),
            shared: Vec::new(),
            build: Some("deploy.sh".into()),
            env: Vec::new(),
            env_files: Vec::new(),
            static_root: Some("/www/static/todo".into()),
            units: vec!["gunicorn.todo.service".into()],
            gunicorn: Some(Gunicorn {
                module: "shop.wsgi".into(),
                program: "/usr/bin/gunicorn".into(),
            }),
            listen: Some(Listen::Port(8017)),
            health_url: None,
            health_path: "/".into(),
            health_host: None,
            health_expect: None,
            nginx: Some("shop.example.com".into()),
        }
    }

    fn uses(plan: &Plan) -> Vec<FileUse> {
        plan.files.iter().map(|file| file.used_by).collect()
    }

    #[test]
    fn the_apps_file_comes_last_and_every_file_says_who_wrote_it() {
        let plan = plan(&wanted(), &[]);
        assert_eq!(
            uses(&plan),
            [FileUse::Policy, FileUse::Unit, FileUse::Site, FileUse::App]
        );
        assert!(
            plan.files
                .iter()
                .all(|file| file.text.starts_with(&mark("todo")))
        );
        assert_eq!(plan.key, Some("/etc/pp-fetcher/keys/todo".into()));
    }

    #[test]
    fn a_unit_that_may_be_restarted_already_takes_no_policy() {
        let plan = plan(&wanted(), &["gunicorn.todo.service".into()]);
        assert_eq!(uses(&plan), [FileUse::Unit, FileUse::Site, FileUse::App]);
    }

    #[test]
    fn a_root_outside_of_the_services_paths_takes_a_drop_in() {
        let mut wanted = wanted();
        wanted.root = "/srv/todo".into();
        let plan = plan(&wanted, &[]);
        let drop_in = plan
            .files
            .iter()
            .find(|file| file.used_by == FileUse::ServiceDropIn)
            .unwrap();
        assert_eq!(
            drop_in.path,
            Path::new("/etc/systemd/system/pp-fetcher.service.d/todo.conf")
        );
        assert!(
            drop_in
                .text
                .ends_with("[Service]\nReadWritePaths=-/srv/todo\n")
        );
    }

    #[test]
    fn an_app_of_a_user_of_its_own_shares_nothing_with_others() {
        let mut wanted = wanted();
        wanted.owner = Owner {
            user: "ada".into(),
            group: "ada".into(),
            own: true,
        };
        wanted.root = "/srv/apps/ada/todo".into();
        wanted.static_root = None;
        wanted.listen = Some(Listen::Socket);
        let plan = plan(&wanted, &[]);
        let paths: Vec<_> = plan
            .files
            .iter()
            .map(|file| file.path.to_string_lossy())
            .collect();
        assert_eq!(
            paths,
            [
                "/etc/pp-restarter/policy.d/ada-todo.toml",
                "/etc/systemd/system/gunicorn.ada-todo.socket",
                "/etc/systemd/system/gunicorn.ada-todo.service",
                "/etc/nginx/sites-available/ada-todo.conf",
                "/etc/pp-fetcher/users/ada/apps.d/todo.toml",
            ]
        );
        assert!(plan.files[0].text.contains("users  = [\"ada\"]"));
        assert_eq!(plan.directories, [("/srv/apps/ada/todo".into(), 0o2770)]);
    }
}
