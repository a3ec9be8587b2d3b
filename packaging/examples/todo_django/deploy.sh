#!/bin/sh
# The build script of a Django project: keep it in the repository as deploy.sh and change it until
# it fits. pp-fetcher(1) runs it as gunicorn in the new release, before anything is switched to it.
#
# It has  PP_APP  PP_REVISION  PP_PREVIOUS_REVISION (empty the first time)  PP_RELEASE (here)
# PP_CURRENT (the link that still points to the release before)  PP_SHARED, and what [deploy.env]
# says. If it fails, the release is dropped and the one before goes on as if nothing had been.
#
# There is no sudo and no restart in here: pp-fetcher switches, restarts and probes afterwards.
set -eu

# Think: what must be true before users see this? Everything that can fail should fail here.

# 1. What it needs. A virtual environment inside the release goes away with it, and going back
#    brings the old one back. Without requirements.txt: Debian's python3-django.
python=python3
if [ -f requirements.txt ]; then
	python3 -m venv .venv
	.venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -r requirements.txt
	python=.venv/bin/python
fi

# 2. Does it load, and does it pass? The tests run on this machine, on a database of their own.
"$python" manage.py check
#"$python" manage.py test --noinput

# 3. The database, which is in shared/ and is the one that serves right now. The old code runs on
#    the new tables until the switch, and again should this release be taken back; so add in one
#    release, remove in a later one. A new column is null=True (or has a db_default, Django 5.0):
#    the old code leaves it out when it adds a row. Going back undoes no migration. The settings.py
#    of this example makes requests wait for a migration instead of failing. A copy is kept while
#    it is small. Both files are made here, since SQLite makes them 0644 whatever the umask.
if [ -L db.sqlite3 ]; then
	copy=$PP_SHARED/db.sqlite3.before-last-deploy
	for file in "$PP_SHARED/db.sqlite3" "$copy"; do
		[ -e "$file" ] || : >"$file"
	done
	python3 -c 'import sqlite3, sys
source, copy = map(sqlite3.connect, sys.argv[1:])
source.backup(copy)' db.sqlite3 "$copy"
fi
"$python" manage.py migrate --noinput

# 4. Files that nginx serves. settings.py has the STATIC_ROOT of [deploy.env].
"$python" manage.py collectstatic --noinput --verbosity 0

# 5. Bytecode now, as gunicorn: where root runs python in the release it finds all of it there, and leaves no
#    __pycache__ of its own, which nobody but root could remove with the release.
"$python" -m compileall -q .
