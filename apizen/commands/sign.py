"""The command ``sign``: what a caller signs, and the signature, to compare with a client's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import click

from apizen.commands.command import MakeApp, takes
from apizen.commands.console import answer, as_json, opened
from apizen.governance.signing import DEFAULT_METHOD, signature, string_to_sign
from apizen.settings import Settings

__all__ = ["sign"]


@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--secret", help="the app's secret; by default that of the app in the database whose app_key is given")
@click.option("--body", type=click.File("rb"), help="file with the JSON body that is sent; - for standard input")
@as_json
@takes("data", "database", "secret_key")
def sign(
    make_app: MakeApp,
    settings: Settings,
    parameters: tuple[str, ...],
    secret: str | None,
    body: BinaryIO | None,
    as_json: bool,
) -> None:
    """Print what is signed of a call, and its signature.

    Give every parameter that is sent but sign and files, method, v and timestamp too; sign_method says how.

    \b
    Example: sign method=matrix.api.set-user v=1.0 app_key=1234567890 timestamp=1451620800 user_id=1
    """
    pairs = [_pair(parameter) for parameter in parameters]
    sent = dict(pairs)
    string = string_to_sign(pairs, body.read() if body else b"")
    key = _secret(settings, sent.get("app_key", "")) if secret is None else secret
    try:
        signed = signature(sent.get("sign_method", DEFAULT_METHOD), key, string)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    shown = string.decode(errors="replace")
    answer({"string": shown, "sign": signed}, f"string: {shown}\nsign:   {signed}", as_json)


def _pair(parameter: str) -> tuple[str, str]:
    try:
        name, equals, value = os.fsencode(parameter).decode().partition("=")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{parameter!r} is not UTF-8") from error
    if not equals:
        raise click.UsageError(f"{parameter!r} is no NAME=VALUE")
    return name, value


def _secret(settings: Settings, app_key: str) -> str:
    if not app_key:
        raise click.UsageError("give --secret, or the app_key of an app in the database")
    with opened(settings) as database:
        from apizen.governance.apps import Apps
        from apizen.governance.secret import SecretKey

        key = SecretKey(settings.secret_key, Path(settings.data))
        for app, token in Apps(database, key).sealed():
            if app.app_key == app_key:
                return key.decrypt(token)
    raise click.UsageError(f"no app in the database has the app_key {app_key!r}: give --secret")
