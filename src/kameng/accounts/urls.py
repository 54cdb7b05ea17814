"""A person's own log-in, below /security/ of every host. Its page is the panel's or the console's (`own_page`)."""

from __future__ import annotations

from django.urls import path

from kameng.accounts import views_security as security

urlpatterns = [
    path("second-step/", security.second_step, name="second_step"),
    path("app/remove/", security.app_remove, name="app_remove"),
    path("passkeys/new/", security.passkey_new, name="passkey_new"),
    path("passkeys/<int:pk>/remove/", security.passkey_remove, name="passkey_remove"),
    path("recovery-codes/", security.recovery_codes, name="recovery_codes"),
    path("sessions/<int:pk>/end/", security.session_end, name="session_end"),
]
