"""Users, tokens, idempotency records and the audit trail of one schema."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.cache import cache
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts import catalogue
from kameng.accounts.catalogue import Place
from kameng.db.context import current_schema
from kameng.db.scopes import PUBLIC_SCHEMA
from kameng.lib import clock


class Role(models.TextChoices):
    """The built-in roles; what each may do stands in `kameng.accounts.catalogue`."""

    OWNER = "OWNER", _("Owner")  # Of a substation: everything in it.
    OPERATOR = "OPERATOR", _("Operator")  # Of the main station: everything.
    MANAGER = "MANAGER", _("Manager")  # Runs the trade; no money, no people.
    SUPPORT = "SUPPORT", pgettext_lazy("role", "Support")  # Buyers' orders and their codes.
    FINANCE = "FINANCE", _("Finance")  # Money; neither goods nor people.
    VIEWER = (
        "VIEWER",
        _("Read only"),
    )  # Looks, changes nothing. Also the row of somebody with a role of the place's own.
    STAFF = "STAFF", _("Manager")  # What MANAGER was called; old code still writes it (migration 0003).


def place() -> Place:
    """Whose catalogue counts in the current schema."""
    return Place.MAIN if current_schema() == PUBLIC_SCHEMA else Place.SHOP


INVITATION_LIFE = timedelta(hours=24)  # Of the link in the mail.


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A user with a hashed password; `password` None makes an account that can't log in by one."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class StaffRole(models.Model):
    """A role of the place's own: a name and what it may do."""

    name = models.CharField(max_length=60)
    permissions = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(Lower("name"), name="staff_role_name_once"),)

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A person with a log-in to this schema's console or panel.

    `own_role`, where set, says what they may do in place of `role`, which is VIEWER then: code that knows no own roles
    lets them look.
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=80, blank=True, default="")
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.MANAGER)
    language = models.CharField(max_length=10, blank=True, default="")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    own_role = models.ForeignKey(StaffRole, null=True, blank=True, on_delete=models.PROTECT, related_name="people")
    invited_at = models.DateTimeField(null=True, blank=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ("email",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(own_role__isnull=True) | models.Q(role=Role.VIEWER), name="own_role_stands_on_viewer"
            ),
        )

    def __str__(self) -> str:
        return self.name or self.email

    @cached_property
    def permissions(self) -> frozenset[str]:
        """What this person may do in the current schema, by the catalogue; kept for the request."""
        if self.own_role is not None:
            return catalogue.known(place(), self.own_role.permissions) | {catalogue.OWN}
        return catalogue.of_role(place(), self.role) | {catalogue.OWN}

    def may(self, code: str) -> bool:
        return code in self.permissions

    @property
    def invitation_over(self) -> bool:
        """The mailed link is too old, and was not followed."""
        mailed = self.invited_at or self.created_at
        return not self.has_usable_password() and clock.utc_now() - mailed > INVITATION_LIFE

    @property
    def role_choice(self) -> str:
        """The role as forms and the API spell it: a built-in one's name, or "own:12"."""
        if self.own_role_id is not None:
            return f"own:{self.own_role_id}"
        return Role.MANAGER.value if self.role == Role.STAFF else self.role

    @property
    def role_label(self) -> Any:
        """The role's name for people. Reads the own role: select_related it where many are shown."""
        return self.own_role.name if self.own_role is not None else self.get_role_display()

    def get_session_auth_hash(self) -> str:
        """What a session must carry to be this person's: of the password, and of how often others were ended."""
        count = cache.get(sessions_key(self.pk), 0)
        own = super().get_session_auth_hash()
        return (
            own
            if not count
            else salted_hmac("kameng.accounts.sessions", f"{own}:{count}", algorithm="sha256").hexdigest()
        )


def of_choice(value: str) -> models.Q:
    """People whose `role_choice` it is."""
    kind, _colon, pk = value.partition(":")
    if kind == "own":
        return models.Q(own_role_id=int(pk) if pk.isascii() and pk.isdigit() and len(pk) < 19 else -1)
    names = (Role.MANAGER, Role.STAFF) if value in (Role.MANAGER, Role.STAFF) else (value,)
    return models.Q(role__in=names, own_role__isnull=True)


def sessions_key(user_id: int) -> str:
    """The cache's key of how often somebody's other sessions were ended."""
    return f"accounts:sessions:{user_id}"


class Authenticator(models.Model):
    """Somebody's authenticator app (TOTP, RFC 6238). The secret is sealed under the key ring, bound to the person."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="authenticator")
    key_version = models.CharField(max_length=20)
    secret = models.BinaryField()
    last_step = models.BigIntegerField(default=0)  # The newest 30-second step that was used; a code works once.
    created_at = models.DateTimeField(auto_now_add=True)


class Passkey(models.Model):
    """One WebAuthn credential: a phone, a computer, a security key."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=60)
    host = models.CharField(max_length=253)  # It signs for this host alone (WebAuthn's RP id).
    credential_id = models.BinaryField(max_length=1023, unique=True)
    credential = models.BinaryField()  # WebAuthn's attested credential data: id and public key.
    sign_count = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("created_at",)


class RecoveryCode(models.Model):
    """One of the codes for the day when phone and key are lost. Its digest is kept; each is good once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.BinaryField(max_length=32)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "digest"), name="recovery_code_once"),)


class StaffSession(models.Model):
    """One browser in which somebody is, or was, logged in. The session itself is in the cache (accounts.sessions)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    device = models.CharField(max_length=64, blank=True, default="")  # Digest of the browser's own cookie.
    agent = models.CharField(max_length=300, blank=True, default="")
    ip = models.CharField(max_length=45, blank=True, default="")
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-seen_at",)
        indexes = (models.Index(fields=("user", "-seen_at"), name="staff_sessions_of_user"),)


class AccessPolicy(models.Model):
    """What the place asks of its people: at most one row. `factor_for_all`: nobody comes in without a second factor."""

    id = models.BigIntegerField(primary_key=True, default=1)
    factor_for_all = models.BooleanField(default=False)


class ApiToken(models.Model):
    """A program's key. The secret is shown once; its SHA-256 is kept."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32, unique=True)
    scopes = models.JSONField(default=list)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotencyRecord(models.Model):
    """The first answer to a creating request, given again to its repeats."""

    actor = models.CharField(max_length=80)
    key = models.CharField(max_length=120)
    digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("actor", "key"), name="idempotency_once"),)


class AuditRecord(models.Model):
    """One act of a person or program. Append-only: the schema's role may insert and read, nothing else."""

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=120)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=120, blank=True, default="")
    details = models.JSONField(default=dict)
    ip = models.CharField(max_length=45, blank=True, default="")
    request_id = models.CharField(max_length=40, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("target", "-id"), name="audit_by_target"),)

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
