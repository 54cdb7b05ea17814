"""From a request's host to a substation; cached, and dropped from the cache when the substation changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.core.cache import cache

from kameng.db.context import MAIN, in_main, pointed_at
from tenants.models import Domain, Substation
from tenants.states import UNREACHABLE, Standing, SubstationState, sells

CACHE_SECONDS = 300
MISS_SECONDS = 5
GONE: Literal[""] = ""  # Of an erased shop. Falsy, as the code before takes whatever leads nowhere.


@dataclass(frozen=True)
class TenantInfo:
    """What a request needs to know of its substation. Pickled into the cache."""

    id: int
    public_id: str
    schema_name: str
    slug: str
    name: str
    state: str
    plan_code: str
    supply_level: str
    currency: str
    suspended_reason: str
    url: str
    # What the code before kept in the cache lacks it: then the class's own value stands.
    schema_version: str = ""
    standing: str = Standing.GOOD
    api_allowed: bool = True
    # The own domain that is the shop's first address, and whether its other addresses lead there.
    primary: str = ""
    sends_on: bool = False

    @property
    def host(self) -> str:
        """The address that every shop has here, whatever DNS says of its own ones."""
        return f"{self.slug}.{settings.BASE_DOMAIN}"

    @property
    def sells(self) -> bool:
        """Whether the main station lets it take orders; its owner may have closed it all the same."""
        return sells(self.state, self.standing)

    @property
    def read_only(self) -> bool:
        """Whether its people may only look, and pay what is due.

        While it is PAST_DUE, and in no other state: what dunning left in `standing` does not outlast what was due.
        """
        return self.state == SubstationState.PAST_DUE and self.standing in (Standing.READ_ONLY, Standing.SHUT)

    @property
    def closed(self) -> bool:
        """Whether it is closed for good: its panel is read and exported from, and changes nothing."""
        return self.state == SubstationState.CLOSED


def info_of(substation: Substation, primary: str = "") -> TenantInfo:
    """The cached form of a row whose plan is loaded."""
    return TenantInfo(
        id=substation.pk,
        public_id=substation.public_id,
        schema_name=substation.schema_name,
        slug=substation.slug,
        name=substation.name,
        state=substation.state,
        plan_code=substation.plan.code,
        supply_level=substation.plan.supply_level,
        currency=substation.currency,
        suspended_reason=substation.suspended_reason,
        url=substation.url,
        schema_version=substation.schema_version,
        standing=substation.standing,
        api_allowed=substation.plan.api_allowed,
        primary=primary,
        sends_on=substation.sends_on and bool(primary),
    )


def is_main(host: str) -> bool:
    """The base domain itself, its www, and the loopback addresses that a health check uses."""
    return host in {settings.BASE_DOMAIN, f"www.{settings.BASE_DOMAIN}", "127.0.0.1", "[::1]"}


def substation_for(host: str, *, anew: bool = False) -> TenantInfo | None:
    """The substation behind a host name without port, or None. A miss is cached shortly, too.

    `anew`: ask the database, whatever is cached.
    """
    return _answer(host, anew=anew) or None


def is_known(host: str) -> bool:
    """Whether the cache knows a shop at a host. Asks no database."""
    with pointed_at(MAIN):
        return bool(cache.get(f"global:host:{host}"))


def is_gone(host: str) -> bool:
    """Whether a shop was at this address of ours and was erased: its visitors are told so, as long as it is held."""
    return _answer(host) == GONE


def _answer(host: str, *, anew: bool = False) -> TenantInfo | Literal[False, ""]:
    """What is at a host: a shop, nothing (False), or one that was erased (GONE). From the cache, if it knows."""
    key = f"global:host:{host}"
    with pointed_at(MAIN):  # A `global:` key is one only in the main station's scope.
        found: TenantInfo | Literal[False, ""] | None = None if anew else cache.get(key)
        if found is None:
            substation = _look_up(host)
            found = info_of(substation, _primary(substation)) if substation else _erased(host)
            cache.set(key, found, CACHE_SECONDS if found else MISS_SECONDS)
    return found


def _erased(host: str) -> Literal[False, ""]:
    slug = host.removesuffix(f".{settings.BASE_DOMAIN}")
    if slug == host:
        return False
    with in_main():  # The row keeps its slug for as long as the address is held (tenants.addresses).
        return GONE if Substation.objects.filter(slug=slug, state=SubstationState.ERASED).exists() else False


def _look_up(host: str) -> Substation | None:
    suffix = f".{settings.BASE_DOMAIN}"
    with in_main():
        rows = Substation.objects.select_related("plan").exclude(state__in=UNREACHABLE)
        if host.endswith(suffix):
            found: Substation | None = rows.filter(slug=host.removesuffix(suffix)).first()
            return found
        domain = Domain.objects.filter(domain=host, verified_at__isnull=False).first()
        return rows.filter(pk=domain.tenant_id).first() if domain else None


def _primary(substation: Substation) -> str:
    with in_main():
        rows = Domain.objects.filter(tenant=substation, is_primary=True, verified_at__isnull=False)
        return rows.values_list("domain", flat=True).first() or ""


def forget_names(names: list[str]) -> None:
    """Drop these hosts from the cache."""
    with pointed_at(MAIN):
        cache.delete_many([f"global:host:{name}" for name in names])


def forget(substation: Substation) -> None:
    """Drop every host of `substation` from the cache; call it on commit of a change."""
    with in_main():
        names = [substation.host, *Domain.objects.filter(tenant=substation).values_list("domain", flat=True)]
    forget_names(names)


def forget_schemas(schema_names: list[str]) -> None:
    """Drop every host of these schemas' substations from the cache."""
    with in_main():
        shops = dict(Substation.objects.filter(schema_name__in=schema_names).values_list("pk", "slug"))
        names = list(Domain.objects.filter(tenant_id__in=shops).values_list("domain", flat=True))
    names += [f"{slug}.{settings.BASE_DOMAIN}" for slug in shops.values()]
    forget_names(names)
