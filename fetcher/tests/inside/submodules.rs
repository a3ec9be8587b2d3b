//! Submodules: from where the configuration says, with nothing of `.gitmodules` believed.

use std::fs;
use std::path::{Path, PathBuf};

use super::git_support::Forge;
use super::git_support::sshd::Sshd;
use super::support;
use crate::config::{App, load};
use crate::deploy::source::SourceError;
use tempfile::TempDir;

/// An app whose repository has a submodule at `libs/theme`, which has one at `deep`.
struct Nested {
    app: Forge,
    theme: Forge,
    deep: Forge,
    work: TempDir,
}

impl Nested {
    fn new() -> Self {
        let (app, theme, deep) = (Forge::new(), Forge::new(), Forge::new());
        deep.commit("deep.css", "deep 1\n", "deep");
        link(&theme, "deep", &deep);
        theme.commit("theme.css", "theme 1\n", "theme");
        link(&app, "libs/theme", &theme);
        Self {
            app,
            theme,
            deep,
            work: tempfile::tempdir().unwrap(),
        }
    }

    /// The app as configured with `submodules`.
    fn configured(&self, submodules: &[(&str, &Forge)]) -> App {
        let table = |(path, forge): &(&str, &Forge)| {
            let repository = forge.repo().display().to_string();
            format!("[[submodule]]\npath = \"{path}\"\nrepository = \"{repository}\"\n")
        };
        self.written(&submodules.iter().map(table).collect::<String>())
    }

    /// The app with these tables in its file.
    fn written(&self, tables: &str) -> App {
        let dir = self.work.path().join("etc");
        fs::create_dir_all(dir.join("apps.d")).unwrap();
        let mut text = format!("repository = \"{}\"\n", self.app.repo().display());
        text += tables;
        text += "[deploy]\nroot = \"/srv/todo\"\n";
        fs::write(dir.join("apps.d/todo.toml"), text).unwrap();
        let config = load(&dir).unwrap();
        assert!(config.broken.is_empty(), "{:?}", config.broken);
        config.apps.into_iter().next().unwrap()
    }

    /// Polls, fetches, checks out; gives the release.
    fn deploy(&self, submodules: &[(&str, &Forge)], name: &str) -> Result<PathBuf, SourceError> {
        self.deploy_as(&self.configured(submodules), name)
    }

    fn deploy_as(&self, app: &App, name: &str) -> Result<PathBuf, SourceError> {
        let repository = support::repository_of(app, self.work.path().join("mirror.git"));
        let into = self.work.path().join(name);
        support::deploy(&repository, &into)?;
        Ok(into)
    }

    fn both(&self) -> [(&'static str, &Forge); 2] {
        // The inner one first, on purpose.
        [
            ("libs/theme/deep", &self.deep),
            ("libs/theme/", &self.theme),
        ]
    }
}

fn link(parent: &Forge, path: &str, child: &Forge) {
    // What .gitmodules says is wrong, and not asked.
    let url = child.repo().display().to_string();
    parent.git(&["submodule", "--quiet", "add", &url, path]);
    let lie = format!("submodule.{path}.url");
    parent.git(&["config", "-f", ".gitmodules", &lie, "ext::sh -c false"]);
    parent.git(&["add", "-A"]);
    parent.git(&["commit", "-q", "-m", "a submodule"]);
}

fn read(release: &Path, file: &str) -> String {
    fs::read_to_string(release.join(file)).unwrap()
}

#[test]
fn submodules_are_written_in_their_places_however_deep() {
    let nested = Nested::new();
    let release = nested.deploy(&nested.both(), "one").unwrap();
    assert_eq!(read(&release, "app.py"), "print('v1')\n");
    assert_eq!(read(&release, "libs/theme/theme.css"), "theme 1\n");
    assert_eq!(read(&release, "libs/theme/deep/deep.css"), "deep 1\n");
}

#[test]
fn the_commit_that_the_app_names_is_deployed_not_the_newest() {
    let nested = Nested::new();
    nested.theme.commit("theme.css", "theme 2\n", "newer");
    let release = nested.deploy(&nested.both(), "one").unwrap();
    assert_eq!(read(&release, "libs/theme/theme.css"), "theme 1\n");

    nested.app.git(&["-C", "libs/theme", "pull", "-q"]);
    nested
        .app
        .commit("app.py", "print('v2')\n", "the newer theme");
    let release = nested.deploy(&nested.both(), "two").unwrap();
    assert_eq!(read(&release, "libs/theme/theme.css"), "theme 2\n");
    assert_eq!(read(&release, "libs/theme/deep/deep.css"), "deep 1\n");
}

#[test]
fn one_that_has_not_changed_is_not_asked_for_again() {
    let nested = Nested::new();
    nested.deploy(&nested.both(), "one").unwrap();
    fs::remove_dir_all(nested.theme.repo()).unwrap();
    fs::remove_dir_all(nested.deep.repo()).unwrap();
    nested.app.commit("app.py", "print('v2')\n", "no new theme");
    let release = nested.deploy(&nested.both(), "two").unwrap();
    assert_eq!(read(&release, "libs/theme/deep/deep.css"), "deep 1\n");
}

#[test]
fn rule_27_a_submodule_that_is_not_configured_is_refused_with_the_mend() {
    let nested = Nested::new();
    let error = nested.deploy(&[], "one").unwrap_err();
    assert!(error.what.contains("libs/theme"), "{}", error.what);
    assert!(error.what.contains("[[submodule]]"), "{}", error.what);
    // The outer one alone does not let the inner one in.
    let error = nested
        .deploy(&[("libs/theme", &nested.theme)], "two")
        .unwrap_err();
    assert!(error.what.contains("libs/theme/deep"), "{}", error.what);
    assert!(!nested.work.path().join("two").exists());
}

#[test]
fn a_commit_that_was_never_pushed_is_told_with_the_submodule() {
    let nested = Nested::new();
    let other = Forge::new();
    let error = nested.deploy(&[("libs/theme", &other)], "one").unwrap_err();
    assert!(
        error.what.starts_with("the submodule libs/theme: ")
            && error.what.contains("push it there"),
        "{}",
        error.what
    );
}

#[test]
fn a_submodule_has_a_key_and_a_host_of_its_own() {
    let Some(sshd) = Sshd::start() else { return };
    let nested = Nested::new();
    let table = |path: &str, forge: &Forge, known_hosts: &str| {
        format!(
            "[[submodule]]\npath = \"{path}\"\nrepository = \"forge:{}\"\n[submodule.ssh]\n\
             identity = \"{}\"\nconfig = \"{}\"\nknown_hosts = \"{}\"\n",
            forge.repo().display(),
            sshd.at("user").display(),
            sshd.at("ssh_config").display(),
            sshd.at(known_hosts).display(),
        )
    };
    let both = |known_hosts: &str| {
        let theme = table("libs/theme", &nested.theme, known_hosts);
        theme + &table("libs/theme/deep", &nested.deep, known_hosts)
    };
    // Rule 24 holds for each of them, and the mend names the one.
    let unknown = nested.written(&both("nobody_pinned"));
    let error = nested.deploy_as(&unknown, "one").unwrap_err();
    assert!(
        error
            .what
            .contains("`pp-fetcher hostkey show todo --submodule libs/theme`"),
        "{}",
        error.what
    );
    let release = nested.deploy_as(&nested.written(&both("known_hosts")), "two");
    let release = release.unwrap();
    assert_eq!(read(&release, "libs/theme/deep/deep.css"), "deep 1\n");

    let shown = |submodule: &str| {
        let etc = nested.work.path().join("etc");
        std::fs::set_permissions(
            nested.work.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        sshd.fetcher()
            .args(["hostkey", "show", "todo", "--submodule", submodule])
            .arg("--config")
            .arg(etc)
            .output()
            .unwrap()
    };
    let output = shown("libs/theme");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("SHA256:"),
        "{said}"
    );
    let output = shown("libs/other");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("configured: libs/theme, libs/theme/deep"),
        "{said}"
    );
}

#[test]
fn a_mistake_in_the_table_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("apps.d")).unwrap();
    let mistake = |table: &str| {
        let text =
            format!("repository = \"f:x\"\n[deploy]\nroot = \"/srv/x\"\n[[submodule]]\n{table}");
        fs::write(dir.path().join("apps.d/todo.toml"), text).unwrap();
        load(dir.path()).unwrap().broken[0].to_string()
    };
    let cases = [
        ("path = \"x\"\n", "`submodule.repository` of `x` is missing"),
        (
            "path = \"../x\"\nrepository = \"f:x\"\n",
            "`../x` is not a path inside",
        ),
        (
            "path = \"x\"\nrepository = \"ext::x\"\n",
            "`submodule.repository` of `x`",
        ),
        (
            "path = \"x\"\nrepository = \"f:x\"\nbranch = \"main\"\n",
            "unknown key `branch`",
        ),
        (
            "path = \"x\"\nrepository = \"f:x\"\n[[submodule]]\npath = \"x/\"\nrepository = \"f:y\"\n",
            "there twice",
        ),
    ];
    for (table, expected) in cases {
        let message = mistake(table);
        assert!(message.contains(expected), "{table}: {message}");
    }
    fs::write(
        dir.path().join("config.toml"),
        "[[submodule]]\npath = \"x\"\nrepository = \"f:x\"\n",
    )
    .unwrap();
    let message = load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("apps.d"), "{message}");
}
