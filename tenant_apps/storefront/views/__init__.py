"""The buyer's pages. Each reads its own module's docstring for what it is about."""

from tenant_apps.storefront.views.catalogue import category, home, search
from tenant_apps.storefront.views.info import about, not_found, robots, sitemap
from tenant_apps.storefront.views.orders import cancel, codes, codes_file, find, order
from tenant_apps.storefront.views.payment import pay, pay_page
from tenant_apps.storefront.views.product import product

__all__ = [
    "about", "cancel", "category", "codes", "codes_file", "find", "home", "not_found", "order", "pay", "pay_page",
    "product", "robots", "search", "sitemap",
]  # fmt: skip
