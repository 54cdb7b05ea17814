"""What each channel's adapter says when there was no answer, or none that can be understood."""

from __future__ import annotations

import dataclasses

import pytest

from kameng.lib.errors import ProviderError
from kameng.lib.outside.http import Limits
from tenant_apps.payments.providers.base import ChannelRefused, PaymentChannel
from tenant_apps.payments.providers.stripe.adapter import StripeAdapter
from tenant_apps.payments.providers.testpay.adapter import TestpayAdapter

from .conftest import NOW, Bench, a_request
from .silence import drips, hangs_up, never, refusing, says, serving

QUICK = Limits(connect_s=1, read_s=0.3, total_s=0.6)


@pytest.fixture
def hurried(bench: Bench) -> PaymentChannel:
    """The bench's adapter, waiting for fractions of a second."""
    kind = StripeAdapter if bench.name == "stripe" else TestpayAdapter
    return kind(limits=QUICK, clock=lambda: NOW)


class TestWeather:
    """What is known when there was no answer."""

    @pytest.mark.parametrize(
        "answer", [never, drips, hangs_up, says("500 Oops", b"{}"), says("200 OK", b"<html>"), says("200 OK", b"{}")]
    )
    def test_an_unanswered_create_is_unknown_and_not_to_be_repeated_blindly(
        self, bench: Bench, hurried: PaymentChannel, answer: object
    ) -> None:
        with serving(answer) as address, pytest.raises(ProviderError) as failure:  # type: ignore[arg-type]
            hurried.create(account=dataclasses.replace(bench.alice, api_base=address), request=a_request())

        assert (failure.value.unknown, failure.value.retryable) == (True, False)
        assert not isinstance(failure.value, ChannelRefused)

    @pytest.mark.parametrize("answer", [never, drips, hangs_up, says("500 Oops", b"{}")])
    def test_an_unanswered_question_may_be_asked_again(
        self, bench: Bench, hurried: PaymentChannel, answer: object
    ) -> None:
        with serving(answer) as address, pytest.raises(ProviderError) as failure:  # type: ignore[arg-type]
            hurried.query(
                account=dataclasses.replace(bench.alice, api_base=address), payment_id="pay_1", channel_ref="cs_test_1"
            )

        assert (failure.value.unknown, failure.value.retryable) == (False, True)

    def test_a_refused_connection_did_nothing_and_may_be_repeated(self, bench: Bench, hurried: PaymentChannel) -> None:
        with refusing() as address, pytest.raises(ProviderError) as failure:
            hurried.create(account=dataclasses.replace(bench.alice, api_base=address), request=a_request())

        assert (failure.value.unknown, failure.value.retryable) == (False, True)

    def test_a_redirect_is_not_followed(self, bench: Bench, hurried: PaymentChannel) -> None:
        answer = says("302 Found\r\nLocation: http://127.0.0.1:9/", b"")

        with serving(answer) as address, pytest.raises(ProviderError) as failure:
            hurried.create(account=dataclasses.replace(bench.alice, api_base=address), request=a_request())

        assert failure.value.unknown is True

    def test_secrets_do_not_show_in_what_is_printed(self, bench: Bench) -> None:
        assert all(secret not in repr(bench.alice) for secret in bench.alice.credentials.values())
