"""django-helpdesk: a site as its manual makes one, on SQLite, fed by `manage.py get_email` from a folder."""

import tempfile
from pathlib import Path

from bench.peers.peer import MAILS, WatchingRelay, command, environment, mail

SETTINGS = """\
SECRET_KEY = "bench"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
SITE_ID = 1
ROOT_URLCONF = "site_urls"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.sites",
    "django.contrib.messages", "django.contrib.staticfiles", "django.contrib.humanize", "rest_framework", "django_cleanup", "helpdesk",
]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {{"context_processors": [
    "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages"]}}}}]
STATIC_URL, MEDIA_URL, MEDIA_ROOT = "/static/", "/media/", "{folder}/media"
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", {relay}
HELPDESK_TEAMS_MODE_ENABLED = False
"""
URLS = """\
from django.urls import include, path
urlpatterns = [path("helpdesk/", include("helpdesk.urls"))]
"""
QUEUE = """\
from helpdesk.models import Queue
Queue.objects.create(title="Bench", slug="bench", email_address="help@corp.example", allow_email_submission=True,
    email_box_type="local", email_box_local_dir="{folder}/mails", email_box_interval=0)
"""


def tickets_a_second() -> float:
    """One run of `get_email` over a folder of mails."""
    python = str(environment("django-helpdesk") / "bin" / "python")
    relay = WatchingRelay()
    try:
        with tempfile.TemporaryDirectory(prefix="triaged-bench-") as name:
            folder = Path(name)
            for each in ("mails", "media"):
                (folder / each).mkdir()
            (folder / "site_settings.py").write_text(SETTINGS.format(folder=folder, relay=relay.port))
            (folder / "site_urls.py").write_text(URLS)
            for index in range(MAILS):
                (folder / "mails" / str(index)).write_bytes(mail(index))
            for words in (
                ["migrate", "--verbosity", "0"],
                ["loaddata", "emailtemplate.json"],
                ["shell", "-c", QUEUE.format(folder=folder)],
                ["get_email", "--quiet"],
            ):
                command(
                    [python, "-m", "django", *words], folder, DJANGO_SETTINGS_MODULE="site_settings", PYTHONPATH=name, PATH="/usr/bin:/bin"
                )
            return relay.rate("django-helpdesk")
    finally:
        relay.close()
