"""The errors of the gateway, declared by table.

An error is declared as a dict in a class that inherits from `ApiBaseExceptions`. Its attribute is then an exception
*class*: every ``raise`` makes a fresh exception, and nothing can change the declaration::

    Exception
    └── ApiException                      code, HTTP status and message of one answer
        ├── ApiSysExceptions.<name>       the gateway's own errors, 1001 to 1999
        └── ApiSubExceptions.<name>       an application's errors, from 2000 (webapi/exception.py)

Each of them also inherits from the ``ex_type`` of its declaration, so ``except KeyError`` catches
``ApiSysExceptions.missing_version``. The optional keys ``english``, ``cause``, ``cause_english``, ``remedy``,
``remedy_english`` and ``retryable`` are what the list of errors at ``/api/errors`` says of it beside that.

==== ==== ========================= =========================================================
code HTTP message                   in English
==== ==== ========================= =========================================================
1000 200  执行成功                  success (reserved, not an error)
1001 403  服务不可用                the service is not available (maintenance, shutting down)
1002 403  限制时间内调用失败次数    too many failed calls, locked out for a while
1003 403  请求被禁止                the request is forbidden
1004 400  缺少版本参数              the parameter v is missing
1005 400  不支持的版本号            no such version
1006 400  非法的版本参数            the version is malformed, or it is disabled
1007 400  缺少时间戳参数            the parameter timestamp is missing
1008 400  非法的时间戳参数          the timestamp is malformed or too far from the server's clock
1009 400  缺少签名参数              the parameter sign is missing
1010 400  无效签名                  the signature does not match
1011 400  无效数据格式              the format is neither json nor xml, or text is not UTF-8
1012 400  缺少方法名参数            the parameter method is missing
1013 404  不存在的方法名            no such method in this version
1014 400  缺少access_token参数      the parameter access_token is missing
1015 401  无效access_token          the access token is unknown or has expired
1016 405  api已经停用               the method is disabled
1017 500  系统处理错误              the method failed; the log has the reason
1018 400  缺少方法所需参数          a parameter that the method needs is missing
1019 405  不支持的http请求方式      the method does not take this HTTP verb
1020 500  错误的API配置             the method is registered wrongly; start-up reported why
1021 400  无效的json格式            the body or the parameter is no valid JSON
1022 400  参数类型错误              a parameter does not have the type that the method declares
1023 400  缺少Content-Type          a body was sent without a Content-Type
1024 415  不被接受的Content-Type    a body of this Content-Type, charset or encoding is not read
1025 400  无效的请求                the HTTP request itself is malformed
1026 401  不允许匿名访问            the method needs a caller who says who they are
1027 429  请求过于频繁              the rate limit is used up
1028 413  请求体过大                the body is larger than the limit
1029 504  处理超时                  the method did not answer in time
1030 503  服务繁忙                  too many calls are waiting
1031 401  无效app_key               the app_key is unknown or disabled
1032 409  重复的请求                the same signed request was sent before
1033 403  权限不足                  the caller may not call this method
1034 406  不可接受的响应格式        the Accept header asks for something other than JSON or XML
1035 404  不存在的路径              nothing is served at this path
==== ==== ========================= =========================================================

>>> try:
...     raise ApiSysExceptions.missing_version
... except KeyError as error:
...     error.err_code, error.status_code, str(error)
(1004, 400, '缺少版本参数')
>>> ApiSysExceptions.bad_request('more').message
'无效的请求，more'
"""

from __future__ import annotations

from json import JSONDecodeError
from typing import cast

from apizen.error_declaration import SUCCESS_CODE, ApiBaseExceptions, ApiException, declared_errors, printable
from apizen.error_texts import ERROR_TEXTS

__all__ = [
    "SUCCESS_CODE",
    "SUCCESS_MESSAGE",
    "ApiBaseExceptions",
    "ApiException",
    "ApiSysExceptions",
    "declared_errors",
    "printable",
]

SUCCESS_MESSAGE = "执行成功"


def _error(
    code: int, status: int, text: str, ex_type: type[Exception] = Exception, joiner: str = "，"
) -> type[ApiException]:
    """One declaration: a dict, which type checkers are told is the class that the metaclass makes of it."""
    declaration = {"api_code": code, "http_code": status, "api_msg": text, "ex_type": ex_type, "joiner": joiner}
    return cast(type[ApiException], {**declaration, **ERROR_TEXTS[code]._asdict()})


class ApiSysExceptions(ApiBaseExceptions):
    """The gateway's own errors; the docstring of this module has them in a table."""

    missing_system_error = _error(1001, 403, "服务不可用")
    app_call_limited = _error(1002, 403, "限制时间内调用失败次数")
    forbidden_request = _error(1003, 403, "请求被禁止")
    missing_version = _error(1004, 400, "缺少版本参数", KeyError, joiner=":")
    unsupported_version = _error(1005, 400, "不支持的版本号", ValueError)
    invalid_version = _error(1006, 400, "非法的版本参数", ValueError)
    missing_timestamp = _error(1007, 400, "缺少时间戳参数", KeyError, joiner=":")
    invalid_timestamp = _error(1008, 400, "非法的时间戳参数", ValueError)
    missing_signature = _error(1009, 400, "缺少签名参数", KeyError, joiner=":")
    invalid_signature = _error(1010, 400, "无效签名", ValueError)
    invalid_format = _error(1011, 400, "无效数据格式", ValueError)
    missing_method = _error(1012, 400, "缺少方法名参数", KeyError, joiner=":")
    invalid_method = _error(1013, 404, "不存在的方法名", AttributeError)
    missing_access_token = _error(1014, 400, "缺少access_token参数", KeyError, joiner=":")
    invalid_access_token = _error(1015, 401, "无效access_token", ValueError)
    api_stop = _error(1016, 405, "api已经停用")
    system_error = _error(1017, 500, "系统处理错误")
    missing_arguments = _error(1018, 400, "缺少方法所需参数", KeyError, joiner=":")
    not_allowed_request = _error(1019, 405, "不支持的http请求方式")
    error_api_config = _error(1020, 500, "错误的API配置")
    invalid_json = _error(1021, 400, "无效的json格式", JSONDecodeError)
    error_args_type = _error(1022, 400, "参数类型错误", ValueError, joiner="：")
    missing_content_type = _error(1023, 400, "缺少Content-Type")
    unacceptable_content_type = _error(1024, 415, "不被接受的Content-Type")
    bad_request = _error(1025, 400, "无效的请求")
    anonymous_not_allowed = _error(1026, 401, "不允许匿名访问")
    too_many_requests = _error(1027, 429, "请求过于频繁")
    body_too_large = _error(1028, 413, "请求体过大")
    call_timeout = _error(1029, 504, "处理超时", TimeoutError)
    service_busy = _error(1030, 503, "服务繁忙")
    invalid_app_key = _error(1031, 401, "无效app_key", ValueError)
    repeated_request = _error(1032, 409, "重复的请求")
    permission_denied = _error(1033, 403, "权限不足", PermissionError)
    unacceptable_format = _error(1034, 406, "不可接受的响应格式")
    unknown_path = _error(1035, 404, "不存在的路径", LookupError)
