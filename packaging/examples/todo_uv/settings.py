# What a Django project's settings.py says where pp-fetcher(1) deploys it with static files in the release.
# Copy these lines into yours; they take the place of those of the same names. For the database see
# ../todo_django/settings.py.
from pathlib import Path

# The release: db.sqlite3 and media are links in it that lead to shared/.
BASE_DIR = Path(__file__).resolve().parent.parent

STATIC_URL = "/static/"
# Inside the release, and in a directory of its own: nginx hands out all of public/, and nothing else of the release.
STATIC_ROOT = BASE_DIR / "public" / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"

# Names with a hash, style.55e7cbb9ba48.css: a file of another content has another name. Django 4.2 and newer; before:
# STATICFILES_STORAGE = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

# Django gives uploads and static files mode 0644 whatever the umask, and then the group cannot change what the app has
# written.
FILE_UPLOAD_PERMISSIONS = 0o664
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o2775
