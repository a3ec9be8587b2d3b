#!/bin/sh
# The build script of a Django project with Celery: keep it in the repository as deploy.sh, and executable.
# pp-fetcher(1) runs it as gunicorn in the new release, before anything is switched to it. If it fails, the release is
# dropped and the one before goes on. It restarts nothing: pp-fetcher does, in the order that the app's file says.
set -eu

python3 -m venv .venv
.venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -r requirements.txt
python=.venv/bin/python

"$python" manage.py check
# Imports every module of tasks as the worker will, without asking the broker for anything. A mistake in one is found
# here; in the worker it would be found after the switch.
"$python" -c 'from todo.celery import app
app.loader.import_default_modules()
print(len([name for name in app.tasks if not name.startswith("celery.")]), "tasks")'

# The worker of the release before goes on with its tasks meanwhile: as for web processes, add in one release and remove
# in a later one. For a copy of the database before that, and for static files, see ../todo_django/deploy.sh and
# ../todo_uv/deploy.sh.
"$python" manage.py migrate --noinput

"$python" -m compileall -q -x '/\.venv/' .
