"""The command ``sign``: what a caller signs, and the signature, to compare with a client's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import click

from apizen.commands.command import MakeApp, takes
from apizen.commands.console import answer, as_json, opened
from apizen.endpoint import VERBS
from apizen.governance.signature import DEFAULT_METHOD, request_to_sign, signature
from apizen.schema import UploadFile
from apizen.settings import Settings
from apizen.values import Part

__all__ = ["sign"]


@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--secret", help="the app's secret; by default that of the app in the database whose app_key is given")
@click.option("--verb", type=click.Choice([*VERBS, "HEAD"]), help="verb; by default POST with a body, else GET")
@click.option("--form", "fields", multiple=True, metavar="NAME=VALUE", help="a field of a form")
@click.option("--file", "files", multiple=True, metavar="NAME=PATH;TYPE", help="a file of a form, and its content type")
@click.option("--body", type=click.File("rb"), help="file with the JSON body that is sent; - for standard input")
@as_json
@takes("data", "database", "secret_key")
def sign(
    make_app: MakeApp,
    settings: Settings,
    parameters: tuple[str, ...],
    secret: str | None,
    verb: str | None,
    fields: tuple[str, ...],
    files: tuple[str, ...],
    body: BinaryIO | None,
    as_json: bool,
) -> None:
    """Print what is signed of a call, and its signature.

    Give every parameter that is sent but sign, method, v and timestamp too; sign_method says how. Verb, places and
    files count for hmac-sha256-v2 only.

    \b
    Example: sign method=matrix.api.set-user v=1.0 app_key=1234567890 timestamp=1451620800 user_id=1
    """
    if body and (fields or files):
        raise click.UsageError("a request has either a JSON body or a form")
    query, form = ([_pair(text) for text in texts] for texts in (parameters, fields))
    sent = dict(form) | dict(query)
    method = sent.get("sign_method", DEFAULT_METHOD)
    parts: list[Part] = [("query", *pair) for pair in query]
    parts += [("form", *pair) for pair in form]
    parts += [_file(file) for file in files]
    verb = verb or ("POST" if body or fields or files else "GET")
    string = request_to_sign(method, verb, parts, body.read() if body else b"")
    key = _secret(settings, sent.get("app_key", "")) if secret is None else secret
    try:
        signed = signature(method, key, string)
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


def _file(option: str) -> Part:
    name, given = _pair(option)
    path, _, content_type = given.partition(";")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror}") from error
    return "form", name, UploadFile(Path(path).name, content_type, content)


def _secret(settings: Settings, app_key: str) -> str:
    if not app_key:
        raise click.UsageError("give --secret, or the app_key of an app in the database")
    with opened(settings) as database:
        from apizen.governance.records.apps import Apps
        from apizen.governance.records.secret import SecretKey

        key = SecretKey(settings.secret_key, Path(settings.data))
        for app, token in Apps(database, key).sealed():
            if app.app_key == app_key:
                return key.decrypt(token)
    raise click.UsageError(f"no app in the database has the app_key {app_key!r}: give --secret")
