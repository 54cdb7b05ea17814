"""Addresses of the panel, below /panel/."""

from __future__ import annotations

from django.urls import path

from tenant_apps.panel.views import billing, listings, money, orders, overview, people, pricing, shop, support

app_name = "panel"

urlpatterns = [
    path("", overview.index, name="overview"),
    path("steps/<slug:step>/", overview.tick, name="tick"),
    path("search/", shop.search, name="search"),
    path("listings/", listings.index, name="listings"),
    path("listings/bulk/", listings.bulk, name="bulk"),
    path("listings/<int:pk>/shelf/", listings.shelf, name="shelf"),
    path("products/<int:pk>/", listings.product, name="product"),
    path("pricing/", pricing.index, name="pricing"),
    path("pricing/rule/", pricing.rule, name="rule"),
    path("pricing/rule/preview/", pricing.preview, name="preview"),
    path("pricing/rule/remove/", pricing.remove, name="rule_remove"),
    path("pricing/many/", pricing.many, name="price_many"),
    path("customise/", shop.customise, name="customise"),
    path("customise/categories/<int:pk>/", shop.category, name="category"),
    path("orders/", orders.index, name="orders"),
    path("orders/queue/", orders.queue, name="queue"),
    path("orders/lines/<int:pk>/deliver/", orders.deliver, name="deliver"),
    path("orders/<str:number>/", orders.detail, name="order"),
    path("orders/<str:number>/cancel/", orders.cancel, name="cancel"),
    path("orders/<str:number>/codes/", orders.reveal, name="reveal"),
    path("orders/<str:number>/buyer/", orders.buyer_page, name="buyer_page"),
    path("statement/", money.statement, name="statement"),
    path("billing/", billing.index, name="billing"),
    path("billing/plans/", billing.plans, name="plan"),
    path("billing/quote/", billing.quote, name="quote"),
    path("billing/change/<str:quote>/", billing.change, name="change"),
    path("billing/change/<str:quote>/confirm/", billing.confirm, name="confirm"),
    path("billing/pay/", billing.pay, name="pay"),
    path("billing/retry/", billing.retry, name="pay_retry"),
    path("billing/top-up/", billing.top_up, name="top_up"),
    path("billing/card/", billing.card, name="card"),
    path("billing/portal/", billing.portal, name="portal"),
    path("billing/back/", billing.back, name="billing_back"),
    path("billing/check/", billing.check, name="billing_check"),
    path("billing/cancel/", billing.cancel, name="subscription_cancel"),
    path("billing/keep/", billing.keep, name="subscription_keep"),
    path("billing/invoices/<str:number>.pdf", billing.invoice, name="invoice"),
    path("settings/", shop.settings, name="settings"),
    path("settings/accent/", shop.accent, name="accent"),
    path("staff/", people.staff, name="staff"),
    path("staff/<int:pk>/role/", people.role, name="role"),
    path("staff/<int:pk>/active/", people.active, name="active"),
    path("staff/<int:pk>/resend/", people.resend, name="resend"),
    path("tokens/", people.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", people.revoke, name="revoke"),
    path("support/", support.visits, name="support"),
    path("support/enter/", support.enter, name="support_enter"),
    path("support/leave/", support.leave, name="support_leave"),
    path("support/show-out/", support.show_out, name="support_show_out"),
    path("activity/", people.audit, name="audit"),
]
