"""Users, tokens, idempotency records and the audit trail of one schema."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.cache import cache
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    OWNER = "OWNER", _("Owner")  # Of a substation: everything in it.
    STAFF = "STAFF", _("Staff")  # Of a substation: everything but money and staff.
    OPERATOR = "OPERATOR", _("Operator")  # Of the main station: everything.
    VIEWER = "VIEWER", _("Read only")  # Of either: looks, changes nothing.


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """A user with a hashed password; `password` None makes an account that can't log in by one."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person with a log-in to this schema's console or panel."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=80, blank=True, default="")
    role = models.CharField(max_length=12, choices=Role.choices, default=Role.STAFF)
    language = models.CharField(max_length=10, blank=True, default="")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ("email",)

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def may_change(self) -> bool:
        return self.role != Role.VIEWER

    def get_session_auth_hash(self) -> str:
        """What a session must carry to be this person's: of the password, and of how often others were ended."""
        count = cache.get(sessions_key(self.pk), 0)
        own = super().get_session_auth_hash()
        return (
            own
            if not count
            else salted_hmac("kameng.accounts.sessions", f"{own}:{count}", algorithm="sha256").hexdigest()
        )


def sessions_key(user_id: int) -> str:
    """The cache's key of how often somebody's other sessions were ended."""
    return f"accounts:sessions:{user_id}"


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
