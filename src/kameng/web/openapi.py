"""How endpoints are written down in the schema: the one error shape, pages, and which refusals an endpoint has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers

from kameng.web.idempotency import HEADER, MAX_KEY, REPLAYED

Shape = type[serializers.Serializer[Any]]
OPEN: Any = [{}]  # OpenAPI's way to say that nothing needs to be shown.
WORDS = {
    304: "Unchanged since the ETag that was sent.",
    400: "The body is not JSON.",
    401: "A token is wanted, or the one that was sent is unknown here, revoked or expired.",
    403: "The token lacks the scope, or the person's role does not allow it.",
    404: "Not there, or not the reader's.",
    409: "Understood, but the state of things does not allow it. Nothing was changed.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "A value can't be used; `field` names it.",
    429: "Too often; `Retry-After` says when to come back.",
    503: "The shop, or a service behind it, is away; the same request may work later.",
}
# Headers of answers, by the statuses that carry them.
WHO_ASKS = OpenApiParameter("WWW-Authenticate", str, OpenApiParameter.HEADER, response=[401], description="`Bearer`.")
COME_BACK = OpenApiParameter(
    "Retry-After", int, OpenApiParameter.HEADER, response=[429], description="Seconds until the next try may pass."
)
CURSOR = OpenApiParameter("cursor", str, description="Where to go on: taken from `next` or `previous`.")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, description="Rows a page."
)
ETAG = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the answer that the reader has."
)
KEY = OpenApiParameter(
    HEADER, {"type": "string", "minLength": 1, "maxLength": MAX_KEY}, OpenApiParameter.HEADER,
    description="Sent again with the same body, it gets the first answer again and creates nothing.",
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """What the endpoint's base must know of one described method."""

    query: tuple[str, ...]  # The names that a query may have.
    polled: bool  # Its answer has an ETag.


def contract_of(view: Any, method: str | None) -> Operation | None:
    """How the view described this method; None for one that it does not have, or that is not part of the contract."""
    name = "get" if method == "HEAD" else str(method).lower()
    found: Operation | None = getattr(getattr(view, name, None), "contract", None)
    return found


class ErrorDetail(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Stable, for programs.")
    message = serializers.CharField(help_text="For people, in the language of Accept-Language.")
    field = serializers.CharField(allow_null=True, help_text="The field at fault, as a dotted path.")
    details = serializers.DictField(required=False, help_text="What else a program may want to know.")


class ErrorAnswer(serializers.Serializer[Any]):
    error = ErrorDetail()


def page_of(shape: Shape) -> Shape:
    """The shape of one page of a list."""
    attributes = {
        "next": serializers.URLField(allow_null=True, help_text="The next page, or null."),
        "previous": serializers.URLField(allow_null=True, help_text="The page before, or null."),
        "results": shape(many=True),
    }
    return type(f"{shape.__name__}Page", (serializers.Serializer,), attributes)


def described(
    summary: str,
    *,
    tag: str,
    name: str,
    answer: Any,
    status: int = 200,
    body: Shape | None = None,
    query: Shape | None = None,
    errors: Iterable[int] = (),
    extra: Sequence[OpenApiParameter] = (),
    paged: bool = False,
    fresh: bool = False,
    creates: bool = False,
    scope: str | None = None,
    text: str = "",
) -> Callable[[Any], Any]:
    """Describe one method of a view.

    Args:
        name: The operation's id, unique on its host.
        answer: The shape of the success; None for an empty one.
        errors: Statuses beside those that follow from the rest: 401, 422 and 429 always, 403 with a scope, 400, 413
            and 415 with a body.
        fresh: A read that answers something else each time. Every other read can be polled: it has an ETag.
        creates: It takes an Idempotency-Key.
        scope: What a token needs; None for an endpoint that is open to everybody.
    """
    known = {401, 422, 429, *errors}
    known |= {403} if scope else set()
    known |= {400, 403, 413, 415} if body is not None else set()
    known |= {409} if creates else set()
    responses: dict[Any, Any] = {status: page_of(answer) if paged else answer}
    responses |= {code: OpenApiResponse(ErrorAnswer, description=WORDS[code]) for code in sorted(known)}
    asked = [one for one in extra if one.location == OpenApiParameter.QUERY] + ([CURSOR, LIMIT] if paged else [])
    names = [*(query().fields if query is not None else ()), *(one.name for one in asked)]
    needs = f"Scope: `{scope}`." if scope else "Open to everybody."

    def describe(handler: Any) -> Any:
        polled = handler.__name__ == "get" and not fresh
        if polled:
            responses[304] = OpenApiResponse(None, description=WORDS[304])
        parameters: list[Any] = [one for one in extra if one not in asked]
        parameters += [query] if query is not None else []
        parameters += [*asked, WHO_ASKS, COME_BACK]
        parameters += [ETAG, _told("ETag", status, "Names this answer.")] if polled else []
        parameters += [KEY, _told(REPLAYED, status, "`true` on a repeated answer.", required=False)] if creates else []
        described_handler: Any = extend_schema(
            operation_id=name, summary=summary, description=f"{text}\n\n{needs}".strip(), tags=[tag], request=body,
            responses=responses, parameters=parameters, auth=None if scope else OPEN,
        )(handler)  # fmt: skip
        described_handler.contract = Operation(tuple(names), polled)
        return described_handler

    return describe


def _told(name: str, status: int, text: str, *, required: bool = True) -> OpenApiParameter:
    """A header of the success."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, required=required, response=[status], description=text)


def in_path(name: str, text: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.PATH, description=text)


def in_header(name: str, text: str, *, required: bool = True) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, required=required)


@extend_schema_field({"type": "string", "format": "decimal", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"})
class UnitField(serializers.DecimalField):
    """Its text begins with a digit, which the pattern that is made of a DecimalField does not say."""


def unit_field(**options: Any) -> serializers.DecimalField:
    """A price of one unit: decimal text with four places."""
    return UnitField(max_digits=18, decimal_places=4, **options)
