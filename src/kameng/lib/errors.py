"""The one family of errors that people see.

A service refuses by raising a subclass that is named for the failed act and lives where it is raised.
One handler per interface (page, fragment, JSON) turns it into an answer; nothing else catches it.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal in words that its reader understands.

    Args:
        message: A translatable sentence: what happened, what was kept, what to do.
        code: Stable, lower_snake_case, for programs. Defaults to the class's own.
        field: The form or JSON field it belongs to, when there is one.
        details: JSON-safe extras (row number, the bound that was crossed).
    """

    status: ClassVar[int] = 400
    code: str = "domain_error"

    def __init__(
        self, message: object, *, code: str = "", field: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message  # Lazy translation: rendered in the reader's language, not the raiser's.
        self.code = code or type(self).code
        self.field = field
        self.details = details or {}

    def __str__(self) -> str:
        return str(self.message)


class Invalid(DomainError):
    """What was sent can't be understood or is out of bounds."""

    status = 422
    code = "invalid"


class Refused(DomainError):
    """Understood, but the state of things does not allow it."""

    status = 409
    code = "refused"


class Forbidden(DomainError):
    """Known who asks; they may not."""

    status = 403
    code = "forbidden"


class Missing(DomainError):
    """Not there, or not yours: the answer is the same."""

    status = 404
    code = "not_found"


class Gone(DomainError):
    """Was there, and is not any more, for good."""

    status = 410
    code = "gone"


class TooMany(DomainError):
    """Asked too often; `details["retry_after_s"]` says when to come back."""

    status = 429
    code = "too_many"


class Unavailable(DomainError):
    """Ours or somebody else's machine does not answer now; the same request may work later."""

    status = 503
    code = "unavailable"


class ProviderError(Exception):
    """An outside service failed. `retryable` says whether the same call may be made again.

    `unknown` is true when the request may have taken effect (a time-out after sending):
    then it is asked about, and never simply sent again.
    """

    def __init__(self, message: str, *, retryable: bool, unknown: bool = False, provider: str = "") -> None:
        super().__init__(message)
        self.retryable = retryable
        self.unknown = unknown
        self.provider = provider
