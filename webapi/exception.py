"""The business errors of this application, from 2000."""

from apizen.exception import ApiBaseExceptions

__all__ = ["ApiSubExceptions"]


class ApiSubExceptions(ApiBaseExceptions):
    # The query worked, there is just nothing to give: an answer, not a failure.
    empty_result = {"api_code": 2000, "http_code": 200, "api_msg": "查询结果为空", "ex_type": Exception}
    unknown_error = {"api_code": 2001, "http_code": 500, "api_msg": "未知异常", "ex_type": Exception}
    other_error = {"api_code": 2002, "http_code": 500, "api_msg": "其它异常", "ex_type": Exception}
