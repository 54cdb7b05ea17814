"""Addresses of the main station's host."""

from __future__ import annotations

from django.urls import include, path

from kameng.accounts import views as accounts
from kameng.accounts import views_passwords as passwords
from kameng.web import views as web
from tenants import tls

urlpatterns = [
    path("healthz", web.healthz, name="healthz"),
    path("login/", accounts.log_in, name="login"),
    path("logout/", accounts.log_out, name="logout"),
    path("api/v1/", include("kameng.api_main")),
    path("login/confirm/", accounts.confirm, name="login_confirm"),
    path("security/", include("kameng.accounts.urls")),
    path("password/", passwords.change, name="password_change"),
    path("password/elsewhere/", passwords.elsewhere, name="log_out_elsewhere"),
    path("password/forgot/", passwords.forgot, name="password_forgot"),
    path("password/set/<str:entry>/", passwords.set_password, name="password_set"),
    path("mailbox/", web.mails, name="mailbox"),
    path("hooks/", include("tenant_apps.payments.urls")),
    path("files/<slug:folder>/<str:name>", web.public_file, name="public_file"),
    path("console/", include("shared_apps.console.urls")),
    path("internal/tls/allow", tls.allow, name="tls_allow"),
    path("", include("kameng.ui.urls")),
    path("", include("shared_apps.billing.urls")),
    path("", include("shared_apps.regions.urls")),
    path("", include("tenants.urls")),
]

handler400 = "kameng.web.errors.bad_request"
handler403 = "kameng.web.errors.permission_denied"
handler404 = "kameng.web.errors.not_found"
handler500 = "kameng.web.errors.server_error"
