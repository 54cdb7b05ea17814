"""`kameng messages`: merge and compile the translations; what it does is `kameng.ui.i18n`'s."""

from __future__ import annotations

import click


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a text has no Chinese or the files are stale.")
def messages(check: bool) -> None:
    """Merge src/kameng/ui/locale_src into the catalogue, and compile it."""
    from kameng.ui import i18n

    raise SystemExit(i18n.main(["check" if check else "build"]))
