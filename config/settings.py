"""Settings, all from the environment (`.env` in development); strict parsing, safe defaults.

`docs/configuration.md` explains every variable; a test fails when one is missing there.
"""

import os
from datetime import timedelta
from pathlib import Path

from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _
from kombu import Queue

from config.strict_env import StrictEnv
from jobs import log_lines

BASE_DIR = Path(__file__).resolve().parent.parent
# What this installation writes is for its own user: SQLite's database, static files, beat's schedule.
os.umask(0o077)
VAR_DIR = BASE_DIR / "var"
VAR_DIR.mkdir(mode=0o700, exist_ok=True)

env = StrictEnv()
ENV_FILE = Path(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))
if ENV_FILE.is_file():
    env.read_env(ENV_FILE)

# --- core ----------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS = env.bool("HTTPS", default=True)
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "django_include_bootstrap",
    "jobs",
    "audit",
    "ui",
    "masterdata",
    "mailaccounts",
    "archive",
    "outbound",
    "tickets",
    "inbound",
    "cockpit",
]

MIDDLEWARE = [
    "audit.middleware.ClientAddressMiddleware",
    "config.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "audit.middleware.RequestOriginMiddleware",
    "ui.middleware.IdleSessionMiddleware",
    "ui.middleware.PrivatePagesMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "masterdata.context_processors.company",
                "ui.context_processors.frame",
                "cockpit.context_processors.quiet_copy",
            ]
        },
    }
]

# --- data ----------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'erp.sqlite3'}")}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE + WAL + busy timeout: without them a read-modify-write loses to "database is locked".
    # FULL: what is committed survives a power cut; mail deleted on the server, or sent, depends on it.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        }
    )
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- language and time ---------------------------------------------------------------------------------
LANGUAGE_CODE = "de"
LANGUAGES = [("de", _("German")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_THOUSAND_SEPARATOR = True
USE_TZ = True
TIME_ZONE = "Europe/Berlin"

# --- users and sessions --------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "masterdata.login.EmailOrUsernameBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "cockpit:start"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = int(timedelta(hours=env.int("SESSION_IDLE_HOURS", default=8)).total_seconds())
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
# The __Host- prefix binds a cookie to this host and to TLS; browsers refuse it over plain HTTP.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True

AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = "masterdata.login.lockout_delay"
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "masterdata.login.counted_name"
# The log of failures tells how many lockouts there were; attempts during one neither count nor prolong it.
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_CALLABLE = "masterdata.login.locked_out"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- browser security ----------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = HTTPS and env.bool("SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
# Not "no-referrer": under it browsers send "Origin: null" with every form, and the CSRF check rightly refuses
# that. Towards other sites both say nothing.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "frame-src": [SELF, "blob:"],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
MEDIA_ROOT = VAR_DIR / "media"
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATA_UPLOAD_MAX_MEMORY_SIZE = 40 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- mail ----------------------------------------------------------------------------------------------
# kid:base64(32 bytes), newest first; further keys only decrypt (`manage.py rotate_keys`).
MAIL_KEYS = env.list("MAIL_KEYS", default=[])
MAIL_ALLOWED_NETWORKS = env.list("MAIL_ALLOWED_NETWORKS", default=["public"])
MAIL_PLAINTEXT_NETWORKS = env.list("MAIL_PLAINTEXT_NETWORKS", default=[])
_ports = env.list("MAIL_ALLOWED_PORTS", default=["25", "143", "465", "587", "993"])
MAIL_ALLOWED_PORTS = (
    range(1, 65536) if _ports == ["any"] else [int(port) if port.isdecimal() else port for port in _ports]
)
MAIL_CA_FILE = env.str("MAIL_CA_FILE", default="")
MAIL_TIMEOUT_SECONDS = env.int("MAIL_TIMEOUT_SECONDS", default=30)
# After so long an IDLE is renewed, before a firewall on the way forgets the connection.
MAIL_IDLE_SECONDS = env.int("MAIL_IDLE_SECONDS", default=540)
MAIL_MAX_MESSAGE_BYTES = env.int("MAIL_MAX_MESSAGE_MB", default=50) * 1024 * 1024
MAIL_TRUSTED_AUTHSERV_IDS = env.list("MAIL_TRUSTED_AUTHSERV_IDS", default=[])
SENDMAIL_PATH = env.str("SENDMAIL_PATH", default="/usr/sbin/sendmail")
LOCAL_MTA_PORT = env.int("LOCAL_MTA_PORT", default=25)
TICKET_REOPEN_DAYS = env.int("TICKET_REOPEN_DAYS", default=30)
# A copy of the database under another name stays quiet until an administrator confirms it (product §12).
INSTANCE_NAME = env.str("INSTANCE_NAME", default="erp-mail")
# What a Prometheus server must bear to read /metrics; without it there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Set by `make demo` only: the folder of the demo's own mail server.
DEMO_FOLDER = env.str("DEMO_FOLDER", default="")

# --- alerts --------------------------------------------------------------------------------------------
# Where people reach this installation, for links in mails: https://erp.firma.de
BASE_URL = env.str("BASE_URL", default="")
# Told of every alert besides the mail administrators.
ALERT_RECIPIENTS = env.list("ALERT_RECIPIENTS", default=[])
# How long polling or sending may fail before somebody is told; what needs a person is told at once.
ALERT_AFTER_MINUTES = env.int("ALERT_AFTER_MINUTES", default=30)

# --- background work -----------------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="memory://localhost/")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"polling_interval": 0.01}
    if CELERY_BROKER_URL.startswith("memory")
    # A broker that is silent keeps a page or /metrics waiting for seconds, not for ever.
    else {"visibility_timeout": 3600, "queue_order_strategy": "priority", "socket_timeout": 3}
)
# A free worker takes from the first queue that holds a task (Redis; other brokers take turns): what a person
# waits for, checks of servers, polls with news, then the rest of long polls (docs/scaling.md).
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_QUEUES = [Queue(name) for name in ("celery", "checks", "polls", "backlog")]
CELERY_TASK_ROUTES = {
    "inbound.check_accounts": {"queue": "checks"},
    "inbound.poll_account": {"queue": "polls"},
}
# After SIGTERM tasks have so long to end after their current step; longer ones are broken off.
DRAIN_SECONDS = env.int("DRAIN_SECONDS", default=25)
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
# Written with every tick, so that its age tells whether beat lives.
CELERY_BEAT_SYNC_EVERY = 1
CELERY_BEAT_SCHEDULE = {
    "check-accounts": {"task": "inbound.check_accounts", "schedule": 5.0, "options": {"expires": 5}},
    "check-failing-accounts": {
        "task": "inbound.check_accounts",
        "kwargs": {"failing": True},
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "deliver-due": {"task": "outbound.deliver_due", "schedule": 5.0, "options": {"expires": 5}},
    "append-due": {"task": "outbound.append_due", "schedule": 10.0, "options": {"expires": 10}},
    "heartbeat": {"task": "jobs.beat_heartbeat", "schedule": 10.0, "options": {"expires": 10}},
    "send-alerts": {"task": "cockpit.send_alerts", "schedule": 60.0, "options": {"expires": 60}},
    "forget-old-tests": {
        "task": "mailaccounts.forget_old_tests",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "seal-audit": {"task": "audit.seal", "schedule": 60.0, "options": {"expires": 60}},
    "log-audit-head": {"task": "audit.log_head", "schedule": crontab(hour=0, minute=5)},
}

# --- logging -------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOG_FORMAT = env.str("LOG_FORMAT", default="json")
LOGGING = log_lines.configuration(
    level=LOG_LEVEL,
    form=LOG_FORMAT,
    secrets=(
        SECRET_KEY,
        METRICS_TOKEN,
        DATABASES["default"].get("PASSWORD", ""),
        env.url("CELERY_BROKER_URL", default=CELERY_BROKER_URL).password or "",
        *(entry.partition(":")[2] for entry in MAIL_KEYS),
    ),
)
