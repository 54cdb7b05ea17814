"""How endpoints are written down in the schema: the one error shape, pages, and which refusals an endpoint has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from kameng.web.idempotency import HEADER, MAX_KEY

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
    polled: bool = False,
    creates: bool = False,
    scope: str | None = None,
    text: str = "",
) -> Callable[[Any], Any]:
    """Describe one method of a view.

    Args:
        name: The operation's id, unique on its host.
        answer: The shape of the success; None for an empty one.
        errors: Statuses beside those that follow from the rest: 401 and 429 always, 403 with a scope, 400, 413, 415
            and 422 with a body, 422 with a query.
        creates: It takes an Idempotency-Key.
        scope: What a token needs; None for an endpoint that is open to everybody.
    """
    known = {401, 429, *errors}
    known |= {403} if scope else set()
    known |= {400, 403, 413, 415, 422} if body is not None else set()
    known |= {422} if query is not None or paged or creates else set()
    known |= {409} if creates else set()
    responses: dict[Any, Any] = {status: page_of(answer) if paged else answer}
    responses |= {code: OpenApiResponse(ErrorAnswer, description=WORDS[code]) for code in sorted(known)}
    if polled:
        responses[304] = OpenApiResponse(None, description=WORDS[304])
    parameters: list[Any] = [*extra]
    parameters += [query] if query is not None else []
    parameters += [CURSOR, LIMIT] if paged else []
    parameters += [ETAG] if polled else []
    parameters += [KEY] if creates else []
    needs = f"Scope: `{scope}`." if scope else "Open to everybody."
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=f"{text}\n\n{needs}".strip(),
        tags=[tag],
        request=body,
        responses=responses,
        parameters=parameters,
        auth=None if scope else OPEN,
    )


def in_path(name: str, text: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.PATH, description=text)


def in_header(name: str, text: str, *, required: bool = True) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, required=required)


def unit_field(**options: Any) -> serializers.DecimalField:
    """A price of one unit: decimal text with four places."""
    return serializers.DecimalField(max_digits=18, decimal_places=4, **options)
