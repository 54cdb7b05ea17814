"""What buyers and the shop's people are told by mail: that something is ready, and where. Never a code."""

from __future__ import annotations

from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from kameng.accounts.models import Role, User
from kameng.db.context import current_schema, in_main
from tenant_apps.orders import identity
from tenant_apps.orders.models import Order
from tenant_apps.orders.states import OrderState
from tenant_apps.shop.models import ShopSettings
from tenants.models import Substation


def order_path(number: str, token: str) -> str:
    """The buyer's page of one order, within the shop's address."""
    return f"/o/{number}/{token}/"


def mail_buyer(number: str) -> bool:
    """Tell a buyer who gave an email address that their order is ready, with a link that opens it.

    The network is used after the reading transaction has ended. Answers whether a mail was sent.
    """
    with transaction.atomic():
        order = Order.objects.filter(number=number).first()
        shop = ShopSettings.objects.filter(pk=1).first()
    if order is None or shop is None or "@" not in order.contact or order.state == OrderState.REFUNDED:
        return False
    link = _shop_url() + order_path(number, identity.mailed_token(number))
    with translation.override(order.language):
        subject = _("%(shop)s: order %(number)s") % {"shop": shop.name, "number": number}
        if order.state == OrderState.DELIVERED:
            first = _("Your order is ready. Open it here to see what you bought:")
        else:
            first = _("Your payment has arrived. What is delivered by hand follows; see how your order stands here:")
        last = _("This link opens your order without a password. Don't pass it on.")
    _send(subject, f"{first}\n\n{link}\n\n{last}\n", [order.contact], sender=shop.name)
    return True


def mail_closing(number: str) -> bool:
    """Tell a buyer whose order is open that the shop closes, and what becomes of it. Answers whether a mail was sent."""
    with transaction.atomic():
        order = Order.objects.filter(number=number).first()
        shop = ShopSettings.objects.filter(pk=1).first()
    open_states = (OrderState.PAID, OrderState.PENDING_PAYMENT)
    if order is None or shop is None or "@" not in order.contact or order.state not in open_states:
        return False
    link = _shop_url() + order_path(number, identity.mailed_token(number))
    with translation.override(order.language):
        subject = _("%(shop)s is closing: your order %(number)s") % {"shop": shop.name, "number": number}
        if order.state == OrderState.PAID:
            first = _("The shop takes no new orders. Yours is paid: it is still delivered, or your money comes back.")
        else:
            first = _("The shop takes no new orders. Yours can still be paid until its time runs out.")
        last = _("Save what you bought: once the shop is closed and its data erased, this link opens nothing any more.")
    _send(subject, f"{first}\n\n{link}\n\n{last}\n", [order.contact], sender=shop.name)
    return True


def mail_staff(number: str) -> bool:
    """Tell the shop's owner that a line waits for a person. Names the order and nothing that is secret."""
    with transaction.atomic():
        shop = ShopSettings.objects.filter(pk=1).first()
        order = Order.objects.filter(number=number, state=OrderState.PAID).first()
        to = list(User.objects.filter(role=Role.OWNER, is_active=True).values_list("email", flat=True))
    if shop is None or order is None or not to:
        return False
    with translation.override(shop.language):
        subject = _("Order %(number)s waits for you to deliver it") % {"number": number}
        text = _("It is paid. Deliver it in your panel, under Orders:")
    _send(subject, f"{text}\n\n{_shop_url()}/panel/orders/{number}/\n", to, sender=shop.name)
    return True


def _send(subject: str, body: str, to: list[str], *, sender: str) -> None:
    """From the shop's own name: nothing of the main station shows."""
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    EmailMessage(subject, body, formataddr((sender, address)), to).send()


def _shop_url() -> str:
    schema = current_schema()
    with in_main():
        return str(Substation.objects.get(schema_name=schema).url)
