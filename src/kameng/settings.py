"""One settings module; environments differ by the variables that `kameng.env` names."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from kameng.env import REPO, Env

ENV = Env()
DEBUG = ENV.debug
DATA_DIR = ENV.data
SECRET_KEY = ENV.secret_key or hashlib.sha256(f"development only {REPO}".encode()).hexdigest()
if not ENV.secret_key and ENV.scheme == "https":
    raise ImproperlyConfigured("KAMENG_SECRET_KEY must be set where shops are served over https.")

# -- Hosts: the main site on the base domain, every shop on a subdomain or on its own domain. The tenant
# middleware knows which hosts exist and answers 404 to the others, so Django's list lets any name reach it.
BASE_DOMAIN = ENV.base_domain
SCHEME = ENV.scheme
AUTHORITY = ENV.authority
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "kameng.urls_tenant"
PUBLIC_SCHEMA_URLCONF = "kameng.urls_main"
WSGI_APPLICATION = "kameng.wsgi.application"

# -- Apps. A tenant schema costs a table per model, so tenant apps stay few and small.
SHARED_APPS = [
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "rest_framework",
    "drf_spectacular",
    "django_filters",
    "django_htmx",
    "django_cotton.apps.SimpleAppConfig",
    "kameng.ui",
    "kameng.web",
    "kameng.accounts",
    "kameng.jobs",
    "tenants",
    "shared_apps.ledger",
    "shared_apps.splits",
    "shared_apps.library",
    "shared_apps.stock",
    "shared_apps.receipts",
    "shared_apps.billing",
    "shared_apps.regions",
    "shared_apps.console",
    "kameng.demo",
]
TENANT_APPS = [
    "kameng.accounts",
    "tenant_apps.shop",
    "tenant_apps.listings",
    "tenant_apps.orders",
    "tenant_apps.payments",
    "tenant_apps.finance",
    "tenant_apps.storefront",
    "tenant_apps.panel",
]
INSTALLED_APPS = [*SHARED_APPS, *[app for app in TENANT_APPS if app not in SHARED_APPS]]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"

# -- Tenancy.
TENANT_MODEL = "tenants.Substation"
TENANT_DOMAIN_MODEL = "tenants.Domain"
TENANT_SYNC_ROUTER = "kameng.db.router.SchemaRouter"
DATABASE_ROUTERS = [TENANT_SYNC_ROUTER]
OWNER_ALIAS = "owner"
SPARE_SCHEMAS = ENV.spare_schemas
# What making a substation runs, in order, each safe to repeat. `tenants` imports none of them.
PROVISIONING_STEPS = [
    "tenants.provisioning.claim_schema",
    "shared_apps.ledger.provisioning.open_accounts",
    "tenant_apps.shop.provisioning.write_settings",
    "tenant_apps.panel.provisioning.create_owner",
    "tenant_apps.listings.provisioning.fill_shelves",
    "shared_apps.billing.provisioning.begin_subscription",
    "tenants.provisioning.go_live",
]
# What an archive holds beside tables and files: functions that answer parts (tenants.archive.writing.Part).
ARCHIVE_PARTS = ["tenant_apps.finance.archive.parts", "shared_apps.stock.services.archived_codes"]
# What has to end before a shop is closed: functions of the substation that answer matters (tenants.closing.Matter).
CLOSING_CHECKS = ["tenant_apps.orders.closing.open_orders", "shared_apps.receipts.closing.open_matters"]
# What is done last, in the transaction that closes it.
CLOSING_STEPS = ["tenant_apps.finance.sync.sync_before_closing", "shared_apps.regions.closing.end_grants"]
# Which cities there are: the module that `tenants.regions` asks, which stands above that room.
REGION_BOOK = "shared_apps.regions.book"
LEAD_RETENTION_DAYS = ENV.lead_retention_days
CLOSING_HOURS = ENV.closing_hours
DOMAIN_HOLD_DAYS = ENV.domain_hold_days
ADDRESS_HOLD_DAYS = ENV.address_hold_days
RETENTION_DAYS = ENV.retention_days


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# Shops' own domains: whom DNS is asked, where an A record leads, who may ask whether a certificate is wanted.
DNS_RESOLVERS = _listed(ENV.dns_resolvers)
INGRESS_ADDRESSES = _listed(ENV.ingress)
PROXY_ADDRESSES = _listed(ENV.proxies)
DOMAIN_TEST_ENDINGS = _listed(ENV.domain_test_endings)
# What `kameng db prepare` runs after the schema is right, each safe to repeat.
PREPARE_STEPS = [
    "shared_apps.ledger.provisioning.open_main_accounts",
    "shared_apps.splits.services.ensure_first_rule",
]


def _database(url: str, *, takes_role: bool) -> dict[str, Any]:
    parts = urlsplit(url or "postgresql://kameng_app@127.0.0.1:5432/kameng")
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "kameng.db.backend",
        "NAME": parts.path.lstrip("/") or "kameng",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", "")) or parts.hostname or "",
        "PORT": query.get("port", "") or str(parts.port or ""),
        "TAKES_ROLE": takes_role,
        "CONN_MAX_AGE": 600 if takes_role else 0,
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # The log-in roles have timezone UTC (kameng.db.roles), so that Django sends no SET of its own.
        "OPTIONS": {"application_name": "kameng", "connect_timeout": 10},
    }


DATABASES = {
    "default": _database(ENV.database_url, takes_role=True),
    OWNER_ALIAS: _database(ENV.database_owner_url or ENV.database_url, takes_role=False),
}

# -- What lives outside Postgres is keyed by tenant (kameng.lib.cachekeys); sessions too, so that a cookie of one
# shop is nothing on another.
CACHES = {
    "default": {
        "BACKEND": "kameng.web.rediscache.RedisCache",
        "LOCATION": ENV.redis_url,
        "KEY_FUNCTION": "kameng.web.cachekeys.tenant_key",
        "KEY_PREFIX": "kameng",
    }
}
SESSION_ENGINE = "kameng.web.sessions"
SESSION_COOKIE_NAME = "kameng_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENV.scheme == "https"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "kameng_csrf"
CSRF_FAILURE_VIEW = "kameng.web.errors.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

MIDDLEWARE = [
    "kameng.middleware.RequestContext",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "kameng.middleware.TenantFromHost",
    "kameng.middleware.ContentSecurity",
    "kameng.web.sessions.HostSessions",
    "kameng.middleware.ReaderLocale",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "kameng.middleware.RequestTransaction",
    "kameng.middleware.SignedIn",
    "kameng.middleware.SupportVisit",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "kameng.middleware.DomainErrors",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django_cotton.cotton_loader.Loader",
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": ["django_cotton.templatetags.cotton", "kameng.ui.templatetags.ui", "django.templatetags.i18n"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "kameng.web.context_processors.site",
                "tenant_apps.storefront.context.shop_face",
            ],
        },
    }
]

# -- Log-in.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "kameng.accounts.backends.EmailBackend"]
LOGIN_URL = "/login/"
AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"  # No table per tenant; the cache is keyed by tenant.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # Hours.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "kameng.accounts.lockout.locked_out"
AXES_USERNAME_FORM_FIELD = "email"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "kameng.accounts.passwords.LengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "kameng.accounts.passwords.StrengthValidator"},
]

# -- Languages, time, money.
LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("简体中文")), ("en", _("English"))]
LOCALE_PATHS = [REPO / "src/kameng/ui/locale"]  # Ahead of the locale folders of the apps, DRF's among them.
LANGUAGE_COOKIE_NAME = "kameng_lang"
TIME_ZONE = ENV.time_zone
USE_TZ = True
USE_I18N = True
CURRENCY = ENV.currency

# -- Files.
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "files"
MEDIA_URL = "/files/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "kameng.web.files.TenantStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # Bulk actions send a field a row.

# -- Mail: a mailbox in the data folder unless a server is named.
MAILBOX_DIR = DATA_DIR / "mailbox"
DEFAULT_FROM_EMAIL = f"Kameng <no-reply@{ENV.base_domain}>"
if ENV.email_url:
    _mail = urlsplit(ENV.email_url)
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _mail.hostname, _mail.port or 25
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.scheme == "smtp+tls", _mail.scheme == "smtps"
else:
    EMAIL_BACKEND = "kameng.web.mailbox.MailboxBackend"

# -- Celery: the wake-up. The truth is the job table; a lost message costs a sweep's delay.
CELERY_BROKER_URL = ENV.redis_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "jobs.sweep": {"task": "jobs.sweep", "schedule": 5.0},
    "listings.sync_due": {"task": "listings.sync_due", "schedule": 5.0},
    "stock.roll_up": {"task": "stock.roll_up", "schedule": 5.0},
    "stock.release_expired": {"task": "stock.release_expired", "schedule": 15.0},
    "orders.expire_due": {"task": "orders.expire_due", "schedule": 15.0},
    "payments.ask_about_unknown": {"task": "payments.ask_about_unknown", "schedule": 60.0},
    "payments.handle_waiting": {"task": "payments.handle_waiting", "schedule": 15.0},
    "billing.renew_due": {"task": "billing.renew_due", "schedule": 60.0},
    "billing.dun": {"task": "billing.dun", "schedule": 60.0},
    "billing.ask_about_pages": {"task": "billing.ask_about_pages", "schedule": 60.0},
    "billing.finish_changes": {"task": "billing.finish_changes", "schedule": 60.0},
    "finance.sync_statements": {"task": "finance.sync_statements", "schedule": 10.0},
    "ledger.roll_up": {"task": "ledger.roll_up", "schedule": 60.0},
    "ledger.seal": {"task": "ledger.seal", "schedule": 60.0},
    "tenants.fill_spares": {"task": "tenants.fill_spares", "schedule": 20.0},
    "tenants.sweep_signups": {"task": "tenants.sweep_signups", "schedule": 60.0},
    "tenants.sweep_exports": {"task": "tenants.sweep_exports", "schedule": 3600.0},
    "tenants.close_due": {"task": "tenants.close_due", "schedule": 60.0},
    "tenants.erase_due": {"task": "tenants.erase_due", "schedule": 3600.0},
    "tenants.check_domains": {"task": "tenants.check_domains", "schedule": 300.0},
    "regions.lapse_offers": {"task": "regions.lapse_offers", "schedule": 60.0},
    "regions.forget_leads": {"task": "regions.forget_leads", "schedule": 3600.0},
}

# -- The API.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "kameng.web.api.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["kameng.web.api.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "kameng.web.api.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": ["kameng.web.api.TenantAnonThrottle", "kameng.web.api.TenantTokenThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "240/min", "token": "1200/min", "signup": "30/hour", "signup_code": "60/hour"},
    "EXCEPTION_HANDLER": "kameng.web.api.exception_handler",
    "NUM_PROXIES": 0,  # REMOTE_ADDR holds the reader's address already; what a header says is anybody's word.
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Kameng",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # What a PATCH may leave out stands in its own shape.
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": True,  # Else the document forgets that a choice may be null.
    "ENUM_NAME_OVERRIDES": {
        "CaseKind": "shared_apps.receipts.models.CaseKind",
        "CaseState": "shared_apps.receipts.models.CaseState",
        "BillingMethod": "shared_apps.billing.states.Method",
        "DeliveryState": "tenant_apps.orders.states.DeliveryState",
        "InvoiceKind": "shared_apps.billing.states.InvoiceKind",
        "InvoiceState": "shared_apps.billing.states.InvoiceState",
        "OrderState": "tenant_apps.orders.states.OrderState",
        "PaymentState": "tenant_apps.payments.states.PaymentState",
        "ProductKind": "shared_apps.library.models.Kind",
        "RuleKind": "tenant_apps.listings.states.RuleKind",
        "SignupState": "tenants.states.SignupState",
        "StepState": "tenants.states.StepState",
        "StockState": "tenant_apps.listings.states.StockState",
        "SubscriptionState": "shared_apps.billing.states.SubscriptionState",
        "SubstationState": "tenants.states.SubstationState",
    },
}

# -- Security.
SECURE_CONTENT_TYPE_NOSNIFF = True
# Each host for itself: a shop's own domain has names beside it that are not ours to bind.
SECURE_HSTS_SECONDS = 365 * 86400 if ENV.scheme == "https" else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.scheme == "https" else None
SILENCED_SYSTEM_CHECKS = ["models.W042", "staticfiles.W004"]

# -- The trade.
CODE_KEYS = ENV.code_keys
TESTPAY_URL = ENV.testpay_url
TESTPAY_SECRET = ENV.testpay_secret
STRIPE_API_URL = ENV.stripe_api_url
POW_BITS = ENV.pow_bits
SECOND_FACTOR_FOR_ALL = ENV.second_factor_for_all
ORDER_EXPIRY_MINUTES = 15
# Who bills the substations, as it stands on their invoices.
SELLER_NAME = ENV.seller_name
SELLER_DETAILS = "\n".join(part.strip() for part in ENV.seller_details.split("|") if part.strip())
# What takes one payment on a hosted page; it lies above the shared apps, so composition names it.
BILLING_PAGES = "tenant_apps.payments.pages.PAGES"
# Stock stays held a while longer than the order may be paid: a callback in flight finds it.
HOLD_GRACE_MINUTES = 5

# -- Logs: structured, one line an event; tenant, request id and actor are bound by the middleware.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # Of records that Django itself wrote, too.
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": ENV.log_level},
    "loggers": {"django.request": {"level": "ERROR"}, "axes": {"level": "WARNING"}},
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
