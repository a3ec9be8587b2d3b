//! A Django project in its versions: good ones, and those that are broken in one way each.

use super::Kind;
use crate::forge::Tree;

macro_rules! example {
    ($path:literal) => {
        include_str!(concat!("../../../packaging/examples/todo_django/", $path))
    };
}

// What is shipped as an example is what is tried here.
const DEPLOY: &str = example!("deploy.sh");
const SOCKET_UNIT: &str = example!("systemd-socket/gunicorn.todo_django.service");
const SOCKET: &str = example!("systemd-socket/gunicorn.todo_django.socket");

const SETTINGS: &str = concat!(
    example!("settings.py"),
    "\n",
    include_str!("../../fixtures/django/todo/settings.py")
);
const VIEWS: &str = include_str!("../../fixtures/django/todo/views.py");
const MODELS: &str = include_str!("../../fixtures/django/todo/models.py");
const WSGI: &str = include_str!("../../fixtures/django/todo/wsgi.py");

/// A column as releases are to add it: null, for the code before does not know of it.
const FIELD: &str = "models.CharField(max_length=200, null=True, db_index=True)";

/// One version of the project; what is not broken on purpose works.
#[derive(Debug, Clone)]
pub struct Django {
    version: String,
    deploy: String,
    wsgi: String,
    views: String,
    migrations: u32,
    settings: String,
}

pub(super) fn kind(name: &str) -> Kind {
    Kind {
        unit: unit(name),
        unit_file: Django::UNIT,
        shared: &["db.sqlite3", "media"],
    }
}

pub(super) fn socket_kind(name: &str) -> Kind {
    Kind {
        unit_file: SOCKET_UNIT,
        ..kind(name)
    }
}

/// The socket by TCP, as the example's comment says: the port is then the app's, as without it.
pub(super) fn socket() -> String {
    SOCKET.replace(
        "ListenStream=/run/gunicorn/todo_django.sock",
        "ListenStream=127.0.0.1:8000",
    )
}

fn unit(name: &str) -> String {
    format!("gunicorn.{name}.service")
}

impl Django {
    /// The shipped example of its unit, for the app `todo_django` on port 8000.
    pub const UNIT: &'static str = example!("systemd/gunicorn.todo_django.service");

    /// A version that works; its first page is `todo VERSION, N items`.
    #[must_use]
    pub fn version(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            deploy: DEPLOY.to_owned(),
            wsgi: WSGI.to_owned(),
            views: VIEWS.to_owned(),
            migrations: 0,
            settings: SETTINGS.to_owned(),
        }
    }

    /// It has this many migrations after the first: each adds a column to the table that is written
    /// to all the time, and an index on it.
    #[must_use]
    pub fn migrations(mut self, migrations: u32) -> Self {
        self.migrations = migrations;
        self
    }

    /// Its static files get names with a hash of their content: files of several versions are there side by side.
    #[must_use]
    pub fn hashing_static_files(mut self) -> Self {
        self.settings.push_str(
            "STATICFILES_STORAGE = 'django.contrib.staticfiles.storage.ManifestStaticFilesStorage'\n",
        );
        self
    }

    /// It builds, gunicorn starts and says READY, and no worker can import it.
    #[must_use]
    pub fn crashing_at_import(mut self) -> Self {
        self.wsgi.insert_str(0, "import a_module_that_nobody_has\n");
        self
    }

    /// It starts, and answers 500 to everything it is asked.
    #[must_use]
    pub fn answering_500(mut self) -> Self {
        self.views = self
            .views
            .replace("return HttpResponse(", "raise RuntimeError(");
        self
    }

    /// Its build script is this, in the place of the shipped example.
    #[must_use]
    pub fn building_with(mut self, script: String) -> Self {
        self.deploy = script;
        self
    }

    /// Its build script ends with exit code 7 after a line that says why.
    #[must_use]
    pub fn failing_to_build(mut self) -> Self {
        self.deploy
            .push_str("echo 'the stylesheet does not compile' >&2\nexit 7\n");
        self
    }

    /// Its build script goes on as long as it is let.
    #[must_use]
    pub fn building_for(mut self, seconds: u32) -> Self {
        self.deploy.push_str(&format!("sleep {seconds}\n"));
        self
    }
}

fn migration(number: u32) -> String {
    match number {
        0 => "0001_initial".to_owned(),
        _ => format!("{:04}_note{number}", number + 1),
    }
}

/// The line of the model that a migration is about.
fn column(number: u32) -> String {
    format!("    note{number} = {FIELD}\n")
}

fn added(number: u32) -> String {
    let before = migration(number - 1);
    format!(
        "from django.db import migrations, models\n\n\n\
         class Migration(migrations.Migration):\n    \
             dependencies = [(\"todo\", \"{before}\")]\n    \
             operations = [migrations.AddField(\"Item\", \"note{number}\", {FIELD})]\n"
    )
}

impl From<Django> for Tree {
    fn from(django: Django) -> Self {
        let columns = (1..=django.migrations).map(column);
        let models = std::iter::once(MODELS.to_owned()).chain(columns);
        let mut tree = Tree::default();
        for number in 1..=django.migrations {
            let path = format!("todo/migrations/{}.py", migration(number));
            tree = tree.file(&path, added(number));
        }
        tree.program("manage.py", include_str!("../../fixtures/django/manage.py"))
            .program("deploy.sh", django.deploy)
            .file("todo/settings.py", django.settings)
            .file(
                "todo/urls.py",
                include_str!("../../fixtures/django/todo/urls.py"),
            )
            .file("todo/wsgi.py", django.wsgi)
            .file("todo/__init__.py", "")
            .file("todo/models.py", models.collect::<String>())
            .file("todo/views.py", django.views)
            .file(
                "todo/version.py",
                format!("VERSION = {:?}\n", django.version),
            )
            .file("todo/migrations/__init__.py", "")
            .file(
                "todo/migrations/0001_initial.py",
                include_str!("../../fixtures/django/todo/migrations/0001_initial.py"),
            )
            .file(
                "todo/static/todo/style.css",
                format!("/* {} */\nbody {{ margin: 2em }}\n", django.version),
            )
    }
}
