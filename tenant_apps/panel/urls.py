"""Addresses of the panel, below /panel/."""

from __future__ import annotations

from django.urls import path

from tenant_apps.panel.views import archives, closing, domains, listings, money, orders, overview, people, pricing, shop

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
    path("settings/", shop.settings, name="settings"),
    path("settings/accent/", shop.accent, name="accent"),
    path("staff/", people.staff, name="staff"),
    path("staff/<int:pk>/role/", people.role, name="role"),
    path("staff/<int:pk>/active/", people.active, name="active"),
    path("staff/<int:pk>/resend/", people.resend, name="resend"),
    path("tokens/", people.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", people.revoke, name="revoke"),
    path("domains/", domains.index, name="domains"),
    path("domains/first/", domains.first, name="domain_first"),
    path("domains/<int:pk>/check/", domains.check, name="domain_check"),
    path("domains/<int:pk>/remove/", domains.remove, name="domain_remove"),
    path("archives/", archives.index, name="archives"),
    path("archives/make/", archives.make, name="archive_make"),
    path("archives/fetch/<str:token>/", archives.fetch, name="archive_fetch"),
    path("closing/", closing.index, name="closing"),
    path("closing/begin/", closing.begin, name="closing_begin"),
    path("closing/keep/", closing.keep, name="closing_keep"),
    path("closing/finish/", closing.finish, name="closing_finish"),
    path("closing/orders/<str:number>/refund/", closing.refund, name="closing_refund"),
    path("activity/", people.audit, name="audit"),
]
