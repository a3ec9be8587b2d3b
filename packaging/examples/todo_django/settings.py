# What a Django project's settings.py says where pp-fetcher(1) deploys it with
#   shared = ["db.sqlite3", "media"]     [deploy.env] STATIC_ROOT = "/www/static/todo_django"
# Copy these lines into yours; they take the place of those of the same names.
import os
from pathlib import Path

# The release: db.sqlite3 and media are links in it that lead to shared/.
BASE_DIR = Path(__file__).resolve().parent.parent

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        # SQLite has one writer at a time, and a migration is one of them: so many seconds a request
        # waits for its turn. After that it is a 500, "database is locked". Django 5.1 and newer: also
        # "transaction_mode": "IMMEDIATE", or what reads before it writes may not wait at all.
        "OPTIONS": {"timeout": 20},
    }
}
# Readers and the writer stop waiting for each other with the write-ahead log. It is switched on once,
# in the file:  python3 -c 'import sqlite3; sqlite3.connect("db.sqlite3").execute("PRAGMA journal_mode=WAL")'
# Its db.sqlite3-wal and db.sqlite3-shm, and without it db.sqlite3-journal, need no line in "shared":
# SQLite follows the link and keeps them beside the file itself, where a deploy does not touch them.

STATIC_URL = "/static/"
STATIC_ROOT = os.environ.get("STATIC_ROOT", BASE_DIR / "static")
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"

# Django gives uploads and static files mode 0644 whatever the umask, and then the group cannot
# change what the app has written.
FILE_UPLOAD_PERMISSIONS = 0o664
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o2775
