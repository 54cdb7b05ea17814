"""The family of refusals."""

from __future__ import annotations

import pytest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from kameng.lib import errors


class SoldOut(errors.Refused):
    code = "sold_out"


class TestDomainError:
    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            (errors.Invalid, 422, "invalid"),
            (errors.Refused, 409, "refused"),
            (errors.Forbidden, 403, "forbidden"),
            (errors.Missing, 404, "not_found"),
            (errors.TooMany, 429, "too_many"),
            (errors.Unavailable, 503, "unavailable"),
        ],
    )
    def test_each_kind_has_its_status_and_code(self, kind: type[errors.DomainError], status: int, code: str) -> None:
        error = kind("why")

        assert (error.status, error.code, error.field, error.details, str(error)) == (status, code, "", {}, "why")

    def test_takes_the_code_of_its_own_class(self) -> None:
        assert SoldOut("gone").code == "sold_out"
        assert SoldOut("gone", code="gone_for_good").code == "gone_for_good"
        assert SoldOut.code == "sold_out"

    def test_keeps_field_and_details(self) -> None:
        error = errors.Invalid("too many", field="quantity", details={"max": 5})

        assert error.field == "quantity"
        assert error.details == {"max": 5}

    def test_is_rendered_in_the_language_of_its_reader(self) -> None:
        with override("en"):
            error = errors.Invalid(_("Monday"))

        with override("zh-hans"):
            assert str(error) == "星期一"


class TestProviderError:
    def test_says_whether_the_call_may_be_made_again(self) -> None:
        error = errors.ProviderError("timeout after sending", retryable=False, unknown=True, provider="stripe")

        assert (error.retryable, error.unknown, error.provider) == (False, True, "stripe")

    def test_is_not_shown_to_people(self) -> None:
        assert not issubclass(errors.ProviderError, errors.DomainError)
