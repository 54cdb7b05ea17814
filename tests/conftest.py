"""Real servers for the session, a database per worker, and a fixed cast: Alice's shop, Bob's shop.

`db` wraps a test in a transaction that is rolled back; what must commit (races, HTTP, workers) takes `fresh_shop`
and rows of its own, and leaves them: each test's names are its own, so that no test sees another's.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

_serial = itertools.count(1)
# How fast a busy machine is says nothing about the code: examples have no deadline, and may be slow to make.
hypothesis.settings.register_profile("kameng", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("kameng")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers (the controller does; workers inherit them) and point Django at this worker's database."""
    # A job in the background of a shell ignores Ctrl-C, and so would every program that a test starts and interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    from kameng.local.testing import shared_postgres

    servers = shared_postgres()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    database = f"kameng_{worker}"
    if "PYTEST_XDIST_WORKER_COUNT" in os.environ or not config.getoption("numprocesses", None):
        _make_database(servers, database)
    for name, url in (("DATABASE_URL", servers.database_url), ("DATABASE_OWNER_URL", servers.database_owner_url)):
        os.environ[name] = _renamed(url, database)
    number = int(worker.removeprefix("gw"))
    os.environ["REDIS_URL"] = servers.redis_url.rsplit("/", 1)[0] + f"/{number + 1}"
    data = Path(tempfile.mkdtemp(prefix="kameng-data-"))
    (data / "static").mkdir()
    os.environ.update(
        KAMENG_DATA=str(data),
        KAMENG_SECRET_KEY="test secret key, long enough for every signature",
        KAMENG_TESTPAY_SECRET="test channel secret",
        KAMENG_SPARE_SCHEMAS="2",
        DJANGO_SETTINGS_MODULE="kameng.settings_test",
    )
    from kameng.lib import crypto

    os.environ.setdefault("KAMENG_CODE_KEYS", crypto.fresh_ring_json())
    import django

    django.setup()
    from django.db.backends.signals import connection_created
    from django.test.utils import setup_test_environment

    from kameng.db.backend import base
    from tests.isolation import sharding

    base.observers.append(sharding.observe)
    connection_created.connect(sharding.watch_owner)
    _let_clients_log_in_at_their_host()
    setup_test_environment()  # Mail stays in memory, and responses keep their context.


def _let_clients_log_in_at_their_host() -> None:
    """Django's test client makes sessions beside a request, and ours are bound to a host: to the client's own."""
    from django.test import Client

    from kameng.web import sessions

    def bound(function: Any) -> Any:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            token = sessions.made_at.set(self.defaults.get("HTTP_HOST", "testserver"))
            try:
                return function(self, *args, **kwargs)
            finally:
                sessions.made_at.reset(token)

        return wrapper

    Client._login = bound(Client._login)  # type: ignore[attr-defined]
    Client.session = property(bound(Client.session.fget))  # type: ignore[method-assign, attr-defined, misc]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the hostile neighbour tried (tests/isolation), when he was there; under xdist, everybody's visits together."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    said = [(name, value) for report in reports for name, value in getattr(report, "user_properties", ())]
    walks = [int(value) for name, value in said if name == "hostile_visits"]
    if walks:
        terminalreporter.write_line(f"hostile walk: {len(walks)} addresses, {sum(walks):,} visits")
    for name, value in said:
        if name == "behind_pgbouncer":
            terminalreporter.write_line(f"behind PgBouncer, {value}")


def _renamed(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}" + (f"?{query}" if query else "")


def _make_database(servers: Any, database: str) -> None:
    import psycopg2

    from kameng.local import cluster

    with _one_at_a_time():
        conn = psycopg2.connect(servers.superuser_url)
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
            if cursor.fetchone() is None:
                cluster.create_database(conn, database)
        conn.close()
        own = psycopg2.connect(_renamed(servers.superuser_url, database))
        own.autocommit = True
        cluster.prepare_database(own)
        own.close()


class _one_at_a_time:  # noqa: N801  # Used like a function.
    """Roles are the cluster's, not a database's: workers prepare theirs one after the other."""

    def __enter__(self) -> None:
        self.file = open(Path(tempfile.gettempdir()) / "kameng-tests.lock", "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


# Where somebody sends on purpose what must not go through.
HOSTILE = ("tests/isolation/", "tests/kameng/db/", "tests/shared_apps/library/test_editing.py::TestWhoMaySeeIt")


@pytest.fixture(autouse=True)
def _stays_in_its_schema(request: pytest.FixtureRequest) -> Iterator[None]:
    """No statement of the app's reaches from one schema into another (docs/scaling.md)."""
    from tests.isolation import sharding

    yield
    crossed = list(sharding.crossings)
    sharding.crossings.clear()
    if crossed and not request.node.nodeid.startswith(HOSTILE):
        pytest.fail("A statement left its schema: " + "; ".join(crossed[:3]))


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Messages are compared in the language of the sources; a request may choose its own."""
    from django.utils import translation

    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _proved(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who is logged in by `force_login` has proved a second factor, but in tests marked `unproved`, which are about it."""
    from django.contrib.auth.signals import user_logged_in

    from kameng.accounts import step_up
    from kameng.lib import clock

    def proved(sender: object, request: Any, user: Any, **_rest: object) -> None:
        if "REQUEST_METHOD" not in request.META:  # Django's own `force_login`; a browser's log-in has an environment.
            request.session[step_up.PROVED] = {"at": clock.utc_now().timestamp(), "user": user.pk}

    if request.node.get_closest_marker("unproved"):
        yield
        return
    user_logged_in.connect(proved)
    yield
    user_logged_in.disconnect(proved)


@pytest.fixture(scope="session")
def prepared() -> None:
    """The database as `kameng db prepare` leaves it, with the three plans of the demonstration network."""
    from django.db import connections

    from kameng.db.context import in_main
    from tenants import prepare, template
    from tenants.models import Plan

    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    with _one_at_a_time():
        prepare.prepare(spare_count=0)
        # Roles are the cluster's: each worker's schemas have numbers of their own.
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT setval('public.substation_schema_serial', %s)", [(number + 1) * 100_000])
    with in_main():
        for sort, (code, level, fee) in enumerate(
            [("basic", "BASIC", 200), ("pro", "PRO", 120), ("flagship", "FLAGSHIP", 60)]
        ):
            Plan.objects.get_or_create(
                code=code,
                defaults={
                    "name_zh": code,
                    "name_en": code,
                    "supply_level": level,
                    "platform_fee_bps": fee,
                    "sort": sort,
                },
            )
    template.owner().close()


@pytest.fixture
def no_jobs(prepared: None) -> None:
    """Nothing waits for a worker: what other tests left would be done, and mailed, in this one."""
    from kameng.db.context import in_main
    from kameng.jobs.models import Job

    with in_main():
        Job.objects.filter(state="PENDING").delete()


@pytest.fixture
def db(prepared: None) -> Iterator[None]:
    """The main station's scope in a transaction that is rolled back; nest `in_substation(alice)` in it."""
    from django.db import transaction

    from kameng.db.context import MAIN, pointed_at

    with pointed_at(MAIN), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="session")
def make_shop(prepared: None) -> Callable[..., Any]:
    """Make a live substation by the real provisioning: `make_shop(slug, plan="pro")`."""

    def make(slug: str = "", plan: str = "basic") -> Any:
        from kameng.db.context import in_main
        from kameng.lib import clock
        from shared_apps.billing import services as billing
        from tenants import provisioning
        from tenants.models import Plan, Substation

        slug = slug or f"shop-{next(_serial)}-{os.getpid()}"
        with in_main():
            substation = Substation(
                slug=slug,
                name=slug.title(),
                plan=Plan.objects.get(code=plan),
                owner_email=f"{slug}@example.com",
                owner_name=slug.title(),
            )
            substation.schema_name = provisioning.schema_placeholder(substation.public_id)
            substation.save()
            # What its plan costs is not asked for: without periods nothing comes due in tests of something else.
            billing.begin(substation=substation, now=clock.utc_now())
        provisioning.run(substation)
        with in_main():
            return Substation.objects.select_related("plan").get(pk=substation.pk)

    return make


@pytest.fixture(scope="session")
def alice(make_shop: Callable[..., Any]) -> Any:
    """Alice's shop, on the basic plan. Committed; tests of one session share it."""
    return make_shop("alice", plan="basic")


@pytest.fixture(scope="session")
def bob(make_shop: Callable[..., Any]) -> Any:
    """Bob's shop, on the professional plan."""
    return make_shop("bob", plan="pro")


@pytest.fixture
def fresh_shop(make_shop: Callable[..., Any]) -> Any:
    """A shop of this test's own, where what is committed disturbs nobody."""
    return make_shop()
