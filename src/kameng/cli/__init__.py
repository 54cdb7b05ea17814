"""The `kameng` command line. A command's module is imported when it is used, so that `--help` needs no database."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import click

from kameng.lib.errors import DomainError
from kameng.local.errors import LocalError

REPO = Path(__file__).resolve().parents[3]
# Name, the command's place, and what `kameng --help` says about it.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("kameng.cli.run:run", "Start everything on this machine."),
    "db": ("kameng.cli.db:db", "Prepare the database, and say what it is at."),
    "migrate": ("kameng.cli.migrate:migrate", "Upgrade every schema to the code; judge migrations."),
    "selftest": ("kameng.cli.selftest:selftest", "Try the walls between shops, as web and worker do at their start."),
    "demo": ("kameng.cli.demo:demo", "The demonstration network."),
    "operator": ("kameng.cli.operator:operator", "Give somebody the billing console: the first log-in."),
    "totp": ("kameng.cli.totp:totp", "Show the code of a second step's key, where no phone is at hand."),
    "substation": ("kameng.cli.substation:substation", "Export a shop as one file; make a shop of such a file."),
    "library": ("kameng.cli.library:library", "Import and export the master library."),
    "codes": ("kameng.cli.codes:codes", "Import card codes."),
    "ledger": ("kameng.cli.ledger:ledger", "Verify the ledger."),
    "testpay": ("kameng.cli.testpay:testpay", "Run the test payment channel."),
    "bench": ("kameng.cli.bench:bench", "Measure."),
    "pg": ("kameng.cli.servers:pg", "The embedded Postgres: its addresses, a shell."),
    "redis": ("kameng.cli.servers:redis", "The embedded Redis: its address."),
    "messages": ("kameng.cli.messages:messages", "Merge and compile the translations (developers)."),
    "manage": ("kameng.cli.manage:manage", "Django's own commands: `kameng manage COMMAND …`."),
}


class LazyGroup(click.Group):
    """Commands by name and place; one that fails says why in a sentence instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module_name, attribute = COMMANDS[cmd_name][0].split(":")
        command = getattr(importlib.import_module(module_name), attribute)
        assert isinstance(command, click.Command), f"{cmd_name} is not a click command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_place, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (LocalError, DomainError) as error:
            raise click.ClickException(_in_the_readers_language(error)) from error
        except Exception as error:
            words = _plain_words(error)
            if words:
                raise click.ClickException(words) from error
            raise


@click.group(cls=LazyGroup)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=("KAMENG_DATA", "DATA"),
    default=REPO / ".data",
    show_default=".data in the project",
    help="The folder of this copy: databases, files, keys, mailbox, logs.",
)
@click.pass_context
def main(ctx: click.Context, data: Path) -> None:
    """Kameng: a network of shops for digital goods."""
    ctx.obj = data.expanduser().resolve()


def data_folder() -> Path:
    """The folder that the present command works on: --data, else KAMENG_DATA, else DATA, else `.data`."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and isinstance(ctx.obj, Path):
        return ctx.obj
    return Path(os.environ.get("KAMENG_DATA") or os.environ.get("DATA") or REPO / ".data").resolve()


def setup_django() -> None:
    """Make Django usable in this process: the running servers' addresses, the copy's keys, the settings.

    Addresses in the environment go first. Raises LocalError when there are none and nothing runs in the data folder.
    """
    # What start-up makes (modules, classes, fields) stays for good: collecting garbage among it finds none, and costs a
    # tenth of every command.
    gc.disable()
    try:
        complete_environment(os.environ, data_folder())
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kameng.settings")
        import django

        django.setup()
        gc.freeze()
    finally:
        gc.enable()


def complete_environment(environ: MutableMapping[str, str], data: Path) -> None:
    """Add to `environ` what settings read and it does not have yet."""
    from kameng.local import endpoint, external, secrets

    environ["KAMENG_DATA"] = str(data)
    has_servers = bool(environ.get("DATABASE_URL") and environ.get("REDIS_URL"))
    # Also with servers of the user's: links in mails want the port, payments the test channel's address.
    running = endpoint.running(data) if has_servers else endpoint.load(data)
    own = secrets.ensure(data)  # Only now: a mistyped folder is not made.
    environ.update(own.environment(environ))
    environ.update(external.database_environment(environ, environ["KAMENG_SECRET_KEY"]))
    for name, value in running.environment().items() if running else ():
        if not environ.get(name):
            environ[name] = value


def _in_the_readers_language(error: Exception) -> str:
    """The message in Chinese where the terminal is Chinese, else in English, as the command line itself is."""
    from django.conf import settings
    from django.utils import translation

    if not settings.configured:
        return str(error)
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    with translation.override("zh-hans" if locale.startswith("zh") else "en"):
        return str(error)


# What the machine refuses, and what helps.
_CURES = {
    errno.ENOSPC: "Free some space, or choose a folder on another disk with DATA=.",
    errno.EDQUOT: "Free some space, or choose a folder on another disk with DATA=.",
    errno.EROFS: "Choose a folder that can be written with DATA=.",
    errno.EACCES: "Start as the user who owns it, or choose another folder with DATA=.",
    errno.EPERM: "Start as the user who owns it, or choose another folder with DATA=.",
    errno.ENOTDIR: "A part of the path is a file; choose another folder with DATA=.",
}


def _plain_words(error: Exception) -> str:
    """What a person at the terminal can do about `error`; empty for a mistake of ours, whose traceback is wanted."""
    if _is_database_gone(error):
        return f"The database does not answer. {error}".strip()
    if isinstance(error, OSError) and error.errno in _CURES:
        return f"{error.strerror}: {error.filename or data_folder()}. {_CURES[error.errno]}"
    return ""


def _is_database_gone(error: Exception) -> bool:
    """Whether Django or psycopg2 says that it can't reach its server (and neither is imported only to ask)."""
    kinds = (("django.db.utils", "OperationalError"), ("psycopg2", "OperationalError"))
    if any(name in sys.modules and isinstance(error, getattr(sys.modules[name], kind)) for name, kind in kinds):
        return True
    if "django.db" not in sys.modules:
        return False
    from kameng.db.lost import connection_is_lost

    return connection_is_lost(error)
