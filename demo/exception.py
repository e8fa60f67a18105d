"""The business errors of these functions, from 2000."""

from apizen.exception import ApiBaseExceptions

__all__ = ["ApiSubExceptions"]


class ApiSubExceptions(ApiBaseExceptions):
    # The query worked, there is just nothing to give: an answer, not a failure.
    empty_result = {
        "api_code": 2000,
        "http_code": 200,
        "api_msg": "查询结果为空",
        "ex_type": Exception,
        "english": "the query found nothing",
        "cause": "没有符合条件的数据。",
        "cause_english": "No data meets the conditions.",
        "remedy": "按没有数据处理，或换一个条件。",
        "remedy_english": "Treat it as no data, or ask with other conditions.",
    }
    unknown_error = {
        "api_code": 2001,
        "http_code": 500,
        "api_msg": "未知异常",
        "ex_type": Exception,
        "english": "unknown error",
        "cause": "函数遇到了没有预料到的情况。",
        "cause_english": "The function met something that it did not expect.",
        "remedy": "把 X-Request-Id 告诉服务方。",
        "remedy_english": "Tell the operator the X-Request-Id.",
    }
    other_error = {
        "api_code": 2002,
        "http_code": 500,
        "api_msg": "其它异常",
        "ex_type": Exception,
        "english": "other error",
        "cause": "函数报告了一个没有专门错误码的失败。",
        "cause_english": "The function reported a failure that has no code of its own.",
        "remedy": "把 X-Request-Id 告诉服务方。",
        "remedy_english": "Tell the operator the X-Request-Id.",
    }
