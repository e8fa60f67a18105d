"""The command `sign`."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from apizen.application import make_app
from apizen.commands.command import command_of
from apizen.commands.sign import sign
from apizen.governance.records.apps import Apps
from apizen.governance.records.database import Database
from apizen.governance.records.secret import SecretKey
from apizen.governance.signature import signature
from apizen.settings import Settings

PUBLISHED = [
    "method=taobao.item.seller.get", "app_key=12345678", "session=test", "timestamp=2016-01-01 12:00:00",
    "format=json", "v=2.0", "fields=num_iid,title,nick,price,num", "num_iid=11223344",
]  # fmt: skip
COMMAND: click.Command = command_of(sign, make_app, Settings)


def run(*arguments: str, data: bytes | None = None) -> Result:
    return CliRunner().invoke(COMMAND, [*arguments], input=data, prog_name="run.py sign")


def test_sign_prints_string_and_signature() -> None:
    found = run("--secret", "helloworld", *PUBLISHED, "sign_method=md5")
    assert (found.exit_code, found.output.splitlines()) == (
        0,
        [
            "string: app_key12345678fieldsnum_iid,title,nick,price,numformatjsonmethodtaobao.item.seller.get"
            "num_iid11223344sessiontestsign_methodmd5timestamp2016-01-01 12:00:00v2.0",
            "sign:   66987CB115214E59E6EC978214934FB8",
        ],
    )


@pytest.mark.parametrize(
    ("method", "published"),
    [
        ("md5", "66987CB115214E59E6EC978214934FB8"),
        ("hmac", "D56D7858309C31B6251083A874D48273"),
        ("hmac-sha256", "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8"),
    ],
)
def test_sign_as_json(method: str, published: str) -> None:
    found = run("--json", "--secret", "helloworld", *PUBLISHED, f"sign_method={method}")
    assert json.loads(found.output)["sign"] == published


@pytest.mark.parametrize(
    ("parameters", "string"),
    [
        ([], ""),
        (["b=", "a=1=2", "sign=AB", "b=中 文"], "a1=2bb中 文"),
        (["=1"], "1"),
    ],
)
def test_sign_string(parameters: list[str], string: str) -> None:
    found = json.loads(run("--json", "--secret", "s", *parameters).output)
    assert found == {"string": string, "sign": signature("hmac-sha256", "s", string.encode())}


def test_sign_body(tmp_path: Path) -> None:
    body = '{ "b": "中" }\n'.encode()
    file = tmp_path / "body.json"
    file.write_bytes(body)
    expected = {"string": f"a1{body.decode()}", "sign": signature("hmac-sha256", "s", b"a1" + body)}
    assert json.loads(run("--json", "--secret", "s", "--body", str(file), "a=1").output) == expected
    assert json.loads(run("--json", "--secret", "s", "--body", "-", "a=1", data=body).output) == expected


def test_sign_a_whole_request(tmp_path: Path) -> None:
    """The example of docs/governance.md, and others."""
    file = tmp_path / "pear.txt"
    file.write_bytes(b"pear")
    query = ["method=shop.photo", "v=2.2", "app_key=12345678", "timestamp=1451620800", "sign_method=hmac-sha256-v2"]

    def sign(*arguments: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(run("--json", "--secret", "helloworld", *arguments, *query).output)
        return found

    form = ["--form", "fruit=梨", "--file", f"photo={file};text/plain"]
    assert sign(*form)["sign"] == "D9F63B0E077296587D6E696A2DE0F8B4307E8691D6F135E6051A2711739F5D66"
    assert sign("--verb", "PUT", *form)["string"].splitlines()[1] == "PUT"
    assert sign()["string"].splitlines()[1] == "GET"
    body = tmp_path / "body"
    body.write_bytes('{"fruit": "梨"}'.encode())
    assert sign("--body", str(body))["sign"] == "893336BC3E35FB38B4A06DEC5DED2408678075E08DAE444EEDF86CDB82029757"


def test_sign_form_by_a_form_of_the_platform(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"left out")
    found = run("--json", "--secret", "s", "--form", "b=2", "--form", "sign_method=md5", "--file", f"f={file}", "a=1")
    assert json.loads(found.output) == {
        "string": "a1b2sign_methodmd5",
        "sign": signature("md5", "s", b"a1b2sign_methodmd5"),
    }


def test_sign_with_the_secret_of_an_app(tmp_path: Path) -> None:
    with closing(Database.open("", tmp_path)) as database:
        app = Apps(database, SecretKey("", tmp_path)).create("shop")
    found = run("--data", str(tmp_path), "--json", f"app_key={app.app_key}", "a=1")
    assert json.loads(found.output)["sign"] == signature("hmac-sha256", app.secret, f"a1app_key{app.app_key}".encode())
    assert app.secret not in found.output


def test_sign_with_another_key_says_so(tmp_path: Path) -> None:
    with closing(Database.open("", tmp_path)) as database:
        app = Apps(database, SecretKey("", tmp_path)).create("shop")
    found = run("--data", str(tmp_path), "--secret-key", "another", f"app_key={app.app_key}", "a=1")
    assert (found.exit_code, found.output) == (
        1,
        "Error: the secrets were encrypted with another key than the one of the setting secret_key\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secret", "s", "a"], "'a' is no NAME=VALUE"),
        (["--secret", "s", "a=\udcff"], "'a=\\udcff' is not UTF-8"),
        (
            ["--secret", "s", "sign_method=sha1"],
            "there is no sign_method 'sha1', known are: hmac, hmac-sha256, hmac-sha256-v2, md5",
        ),
        (["--secret", "s", "--form", "a"], "'a' is no NAME=VALUE"),
        (["--secret", "s", "--file", "a"], "'a' is no NAME=VALUE"),
        (["--secret", "s", "--file", "a=no/such;text/plain"], "no/such: No such file or directory"),
        (["--secret", "s", "--form", "a=1", "--body", "-"], "a request has either a JSON body or a form"),
        (["a=1"], "give --secret, or the app_key of an app in the database"),
        (["app_key=", "a=1"], "give --secret, or the app_key of an app in the database"),
        (["app_key=12345678"], "no app in the database has the app_key '12345678': give --secret"),
    ],
)
def test_sign_refuses(tmp_path: Path, arguments: list[str], message: str) -> None:
    found = run("--data", str(tmp_path), *arguments)
    assert (found.exit_code, found.output.splitlines()[-1]) == (2, f"Error: {message}")
