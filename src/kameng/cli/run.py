"""`kameng run`: everything on this machine, from nothing to a shop that answers, until Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from kameng.cli import data_folder
from kameng.cli._screen import Screen
from kameng.cli._signals import Stop, ignore_signals, raise_on_signals
from kameng.local import endpoint
from kameng.local._processes import die_with_parent
from kameng.local._state import FolderLock, port_is_free
from kameng.local.errors import LocalError
from kameng.local.house import House, demo_logins, demo_shops
from kameng.local.supervisor import end_orphans


@click.command("run")
@click.option(
    "--port", type=click.IntRange(1, 65_535), envvar="PORT", default=8000, show_default=True, help="Of the web."
)
@click.option("--demo/--no-demo", default=True, show_default=True, help="Load the demonstration network once.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when the program that started this one ends.")
def run(port: int, demo: bool, with_parent: bool) -> None:
    """Start Postgres, Redis, web, worker, beat and the test channel, and keep them up until Ctrl-C.

    DATABASE_URL and REDIS_URL name servers of yours; without them, embedded ones start in the data folder.
    """
    data = data_folder()
    try:
        data.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # Not one of its parts is missing: /proc and the like make no folders.
        raise LocalError(f"{data} can't be made. Choose another folder with DATA=.") from error
    lock = FolderLock(data / "run.lock")
    lock.take(
        f"Kameng in {data}",
        " End it with Ctrl-C where it runs, or start a copy in another folder: make run PORT=… DATA=…",
    )
    orphans = end_orphans(str(data))  # Before the port is looked at: it may be theirs.
    if not port_is_free(port):
        lock.release()
        raise LocalError(f"Port {port} is taken by another program. Choose another: make run PORT={_free_port(port)}")
    raise_on_signals()
    if with_parent:
        die_with_parent(signal.SIGTERM)
    screen = Screen()
    if orphans:
        screen.note("Ended what an earlier run had left.")
    house = House(data, port, report=screen.note)
    try:
        _start(house, screen, demo=demo)
        _greet(screen, data, port)
        house.supervisor.run()
    except Stop:
        pass
    finally:
        ignore_signals()
        endpoint.forget(data)
        with screen.step("Stopping"):
            house.supervisor.stop()
        lock.release()


def _start(house: House, screen: Screen, *, demo: bool) -> None:
    """The steps in order, each on the screen."""
    for service in (house.postgres, house.redis):
        with screen.step(service.title) as step:
            house.supervisor.add(service)
            step.say(service.where)
    with screen.step("Database") as step:
        for warning in house.prepare_external():
            screen.warn(warning)
        house.publish()
        house.run_once("prepare", ("db", "prepare"), step.say)
    with screen.step("Pages") as step:
        house.run_once("static", ("manage", "collectstatic", "--noinput", "--verbosity", "1"), step.say)
    if house.has_testpay:
        with screen.step("Test channel") as step:
            house.supervisor.add(house.testpay())
            step.say(house.testpay_url)
    if demo:
        with screen.step("Demonstration") as step:
            house.run_once("demo", ("demo", "load"), step.say)
    for process in (house.web(), house.worker(), house.beat()):
        with screen.step(process.name.capitalize()) as step:
            house.supervisor.add(process)
            step.say(str(process.log))


def _free_port(taken: int) -> int:
    """The next one that is free."""
    return next((port for port in range(taken + 1, 65_536) if port_is_free(port)), 8000)


def _greet(screen: Screen, data: Path, port: int) -> None:
    main_site = f"http://localhost:{port}"
    screen.addresses(
        [
            ("Main site", f"{main_site}/"),
            ("Billing console", f"{main_site}/console/"),
            ("Mailbox", f"{main_site}/mailbox/"),
            *((name, url) for name, url in demo_shops(data, port)),
        ]
    )
    logins = demo_logins(data, port)
    screen.logins(logins)
    if logins:
        screen.console.print(
            "\nMoney and codes ask for a second step, which is set up on the way.\n"
            "No phone at hand: .venv/bin/kameng totp KEY shows the code of the key on the page.",
            highlight=False,
        )
    screen.console.print("\nCtrl-C stops everything.")
