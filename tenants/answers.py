"""What an applicant answers: each is checked by itself, so that a form can say what is wrong with all of them at once."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from kameng.accounts.models import User
from kameng.db.context import in_main
from kameng.lib import mailboxes, slugs
from kameng.lib.errors import DomainError, Invalid
from tenants import addresses, regions


def address_problem(slug: str) -> str:
    """Why `slug` can't be had now, in words; empty when it is free."""
    try:
        check_address(slug)
    except DomainError as refusal:
        return str(refusal)
    return ""


def problems(
    *, name: str, slug: str, email: str, password: str, owner_name: str = "", region: str = ""
) -> dict[str, str]:
    """What is wrong with each answer, by field, all of it at once; empty when `signup.begin` would take them now.

    `signup.begin` checks again: in between somebody else may have taken the address.
    """
    found = {}
    for check in (
        lambda: checked_name(name),
        lambda: check_address(slug),
        lambda: checked_email(email),
        lambda: check_password(password, email, owner_name),
        lambda: checked_region(region),
    ):
        try:
            check()
        except DomainError as refusal:
            found[refusal.field] = str(refusal)
    return found


def checked_name(name: str) -> str:
    """In one line. Raises: Invalid (`name`)."""
    name = " ".join(name.split())
    if not 2 <= len(name) <= 40:
        raise Invalid(_("The shop's name must have 2 to 40 characters."), code="name_length", field="name")
    return name


def check_address(slug: str) -> None:
    """Raises: the AddressRefused family, AddressTaken (`slug`)."""
    clean = slugs.validate(slug)
    with in_main():
        if addresses.is_taken(clean):
            raise addresses.taken(clean)


def checked_email(email: str) -> str:
    """In small letters. Raises: Invalid (`email`)."""
    email = email.strip().lower()
    if not mailboxes.is_one(email):
        raise Invalid(_("This is not an email address."), code="email_invalid", field="email")
    return email


def check_password(password: str, email: str, owner_name: str) -> None:
    """Raises: Invalid (`password`) with everything that makes it too weak."""
    try:
        validate_password(password, User(email=email, name=owner_name))
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), code="password_too_weak", field="password") from error


def checked_region(region: str) -> str:
    """The code of a city, by its code or name; empty where none is said. Raises: Invalid (`region`)."""
    with in_main():
        return regions.code_of(region)
