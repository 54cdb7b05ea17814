"""`kameng totp KEY`: an authenticator app for the terminal, for a machine without a phone beside it."""

from __future__ import annotations

import binascii
import time

import click


@click.command()
@click.argument("key", nargs=-1, required=True)
def totp(key: tuple[str, ...]) -> None:
    """Print the six digits of KEY, which stands below the QR code of the page that sets a second step up."""
    import pyotp

    try:
        code = pyotp.TOTP("".join("".join(key).split()).upper()).now()
    except (binascii.Error, ValueError) as error:
        raise click.ClickException(
            "This is no key: letters A to Z and digits 2 to 7, as the page shows them."
        ) from error
    click.echo(f"{code}   for {30 - int(time.time()) % 30} seconds more")
