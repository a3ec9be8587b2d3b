#!/bin/sh
# The build script of a Django project with uv.lock and pyproject.toml: keep it in the repository as deploy.sh, and
# executable. pp-fetcher(1) runs it as gunicorn in the new release, before anything is switched to it. If it fails,
# the release is dropped and the one before goes on.
set -eu

# 1. The packages of uv.lock, in .venv of this release. --frozen: what the lock file says is installed, and it is
#    never changed here; a lock file that does not fit pyproject.toml is for the developer's machine to find
#    (uv lock --check). The environment goes away with the release, and going back brings the old one back.
uv sync --frozen --no-dev --no-progress --compile-bytecode
python=.venv/bin/python

# 2. Does it load?
"$python" manage.py check

# 3. The database is in shared/ and serves right now; the release before works on it until the switch, and again if this
#    release is taken back. So add in one release and remove in a later one. Going back undoes no migration: where the
#    database has to go back too, stop the app and put the copy in its place, and what was written since is lost. The
#    copy is made only if there is something to migrate, so that it stays through deploys that change no table.
#    PostgreSQL instead:  pg_dump --format=custom --file="$PP_SHARED/before-last-migration.dump" todo
#
#    Both files are made here, since SQLite makes them 0644 whatever the umask, and then the group cannot write them.
copy=$PP_SHARED/db.sqlite3.before-last-migration
if [ -L db.sqlite3 ]; then
	for file in "$PP_SHARED/db.sqlite3" "$copy"; do
		[ -e "$file" ] || : >"$file"
	done
fi
if ! "$python" manage.py migrate --check >/dev/null 2>&1; then
	if [ -L db.sqlite3 ]; then
		# SQLite's own way to copy: right also while the app writes. cp is not.
		"$python" -c 'import sqlite3, sys
source, copy = map(sqlite3.connect, sys.argv[1:])
source.backup(copy)' db.sqlite3 "$copy"
	fi
	"$python" manage.py migrate --noinput
fi

# 4. Static files into the release, where settings.py has STATIC_ROOT: nginx serves current/public/static, so that the
#    switch changes them in the same moment as the code, and going back takes them back too.
"$python" manage.py collectstatic --noinput --verbosity 0

# 5. A page that was loaded before the switch asks afterwards for files of the release before, and after going back the
#    other way round. settings.py gives each file a name with the hash of its contents in it, so files of all releases
#    fit into one directory; nginx looks there for what the live release does not have. -l makes links to the files, which
#    takes no room; -f puts the newer one in place of a file of the same name.
cp -R -l -f public/static "$PP_SHARED/static_kept/"
# A browser that has had a page open for a month may load it again.
find "$PP_SHARED/static_kept" -type f -mtime +30 -delete

# 6. Bytecode of the project itself, written by gunicorn: where root runs python in the release later, it finds all of it
#    and leaves no __pycache__ that only root could remove.
"$python" -m compileall -q -x '/\.venv/' .
