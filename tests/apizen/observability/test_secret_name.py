from __future__ import annotations

import pytest

from apizen.observability.secret_name import is_secret

SECRET_NAMES = [
    "sign", "access_token", "APP_SECRET", "Password", "token", "Authorization", "x-api-key", "client-secret",
    "db_pass", "userPwd", "otp", "pinCode", "signature", "用户密码", "口令",
    "session", "PIN", "pwd", "Set-Cookie", "old_password2", "credentials", "userPassword",
    "pass", "PASS", "passcode", "passCode", "pass_code", "DBPass", "dbPass", "user-pass", "Pass2",
    "userpwd", "pwd2", "oldPwd", "authKey", "auth_key", "auth-key", "X-Auth-Key", "X-Hub-Signature-256",
    "otp_code", "otpCode", "userOtp", "userOTP", "totp", "pin_code", "userPin", "PINCode", "userPIN", "pin2", "pIn",
    "密码", "登录密码1",
]  # fmt: skip
OTHER_NAMES = [
    "sign_method", "design", "app_key", "name", "spin", "sessions", "nonce", "", "compass", "passenger", "bypass",
    "passport", "COMPASS", "shipping", "SPIN", "pinned", "PINNED", "Pinned", "opinion", "opinionPoll", "pinyin",
    "laptop", "adopt", "option", "designatures", "author", "密", "码",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "secret"), [*((name, True) for name in SECRET_NAMES), *((name, False) for name in OTHER_NAMES)]
)
def test_is_secret(name, secret):
    assert is_secret(name) is secret
