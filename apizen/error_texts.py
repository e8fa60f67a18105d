"""What the gateway's error codes mean to a caller: the likely cause, what to do, and whether to try again.

`apizen.exception` declares the codes with their HTTP status and message. These texts stand beside them in the list of
errors, in Chinese and in English.

>>> ERROR_TEXTS[1027].retryable, ERROR_TEXTS[1027].remedy_english
(True, 'Wait as many seconds as Retry-After says, then call again.')
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ERROR_TEXTS", "ErrorText"]


class ErrorText(NamedTuple):
    """What one code means. ``english`` is its message in English.

    ``retryable`` is true where the call surely had no effect and, sent again later without a change, may succeed. It is
    false for a call that timed out: that may have had an effect.
    """

    english: str
    cause: str
    cause_english: str
    remedy: str
    remedy_english: str
    retryable: bool = False


ERROR_TEXTS = {
    1001: ErrorText(
        "the service is not available (maintenance, shutting down)",
        "服务正在维护或正在关闭。", "The service is under maintenance or shutting down.",
        "稍后重试。", "Call again later.",
        retryable=True,
    ),
    1002: ErrorText(
        "too many failed calls, locked out for a while",
        "该地址在短时间内签名错误的次数过多；不需要签名的方法不受影响。",
        "Too many signed calls of this address failed in a short time; methods that need no signature go on.",
        "先排除失败的原因，再等待 Retry-After 所示的秒数。",
        "Find out why they failed, then wait as many seconds as Retry-After says.",
    ),
    1003: ErrorText(
        "the request is forbidden",
        "该地址被禁止，或不在应用允许的地址之内。", "The address is banned, or the app may not call from it.",
        "从允许的地址调用，或联系服务方。", "Call from an allowed address, or ask the operator.",
    ),
    1004: ErrorText(
        "the parameter v is missing",
        "请求中没有参数 v。", "The request has no parameter v.",
        "在查询串或表单中加上 v，例如 v=1.0。", "Send v in the query string or the form, as v=1.0.",
    ),
    1005: ErrorText(
        "no such version",
        "参数 v 所指的版本不存在。", "The version that v names does not exist.",
        "改用已发布的版本号。", "Use a version that was published.",
    ),
    1006: ErrorText(
        "the version is malformed, or it is disabled",
        "版本号格式不对，或该版本已停用。", "The version is malformed, or it has been disabled.",
        "改用仍在服务的版本号。", "Use a version that is in service.",
    ),
    1007: ErrorText(
        "the parameter timestamp is missing",
        "该方法需要签名，而请求中没有 timestamp。", "The method takes signed calls, and there is no timestamp.",
        "加上 timestamp 后重新签名。", "Send a timestamp, and sign again with it.",
    ),
    1008: ErrorText(
        "the timestamp is malformed or too far from the server's clock",
        "时间格式不对、时区不对，或本机时钟不准。", "The format or the time zone is wrong, or the caller's clock is.",
        "按提示的秒数校准时钟，用新的 timestamp 重新签名。",
        "Correct the clock by the seconds that the message names, and sign again with a new timestamp.",
    ),
    1009: ErrorText(
        "the parameter sign is missing",
        "该方法需要签名，而请求中没有 sign。", "The method takes signed calls, and there is no sign.",
        "用应用的密钥签名，并以 sign 发送。", "Sign the call with the secret of the app, and send it as sign.",
    ),
    1010: ErrorText(
        "the signature does not match",
        "密钥不对、被签名的字符串与所发送的不同、sign_method 不被接受，或含有该方法没有的参数。",
        "The secret is wrong, what was signed is not what was sent, the sign_method is not accepted, "
        "or a parameter is none of the method's.",
        "核对密钥，以及参数的名称、排序、编码和签名方法。",
        "Check the secret, the names, order and encoding of the parameters, and the sign_method.",
    ),
    1011: ErrorText(
        "the format is neither json nor xml, or text is not UTF-8",
        "format 不是 json 或 xml，或文本不是 UTF-8 编码。",
        "The format is neither json nor xml, or a text is not UTF-8.",
        "使用 format=json 或 format=xml，文本以 UTF-8 编码。",
        "Use format=json or format=xml, and send texts as UTF-8.",
    ),
    1012: ErrorText(
        "the parameter method is missing",
        "请求中没有参数 method。", "The request has no parameter method.",
        "在查询串或表单中加上 method。", "Send method in the query string or the form.",
    ),
    1013: ErrorText(
        "no such method in this version",
        "方法名有误，或该版本中没有这个方法。", "The name is misspelt, or this version does not have the method.",
        "核对方法名和版本号。", "Check the name of the method and the version.",
    ),
    1014: ErrorText(
        "the parameter access_token is missing",
        "该方法需要用户授权，而请求中没有 access_token。",
        "The method acts for a user, and there is no access_token.",
        "先取得 access_token，再随请求发送。", "Get an access_token first, and send it with the call.",
    ),
    1015: ErrorText(
        "the access token is unknown or has expired",
        "access_token 有误、已过期或已被撤销。", "The access_token is wrong, expired or revoked.",
        "重新取得 access_token。", "Get a new access_token.",
    ),
    1016: ErrorText(
        "the method is disabled",
        "服务方停用了该方法。", "The operator has disabled the method.",
        "改用替代的方法，或联系服务方。", "Use the method that replaces it, or ask the operator.",
    ),
    1017: ErrorText(
        "the method failed; the log has the reason",
        "方法执行时出错，原因在服务端日志中。", "The method failed while it ran; the server's log has the reason.",
        "将 X-Request-Id 告知服务方；调用可能已经生效。",
        "Tell the operator the X-Request-Id; the call may have had an effect.",
    ),
    1018: ErrorText(
        "a parameter that the method needs is missing",
        "缺少消息中所指的参数。", "The parameter that the message names was not sent.",
        "补上该参数。", "Send the parameter.",
    ),
    1019: ErrorText(
        "the method does not take this HTTP verb",
        "该方法不接受所用的 HTTP 请求方式。", "The method was called with an HTTP verb that it does not take.",
        "使用响应头 Allow 所列的请求方式。", "Use one of the verbs that the header Allow lists.",
    ),
    1020: ErrorText(
        "the method is registered wrongly; start-up reported why",
        "服务方对该方法的配置有误。", "The operator has registered the method wrongly.",
        "联系服务方；run.py check 会指出问题所在。", "Tell the operator; run.py check names the problem.",
    ),
    1021: ErrorText(
        "the body or the parameter is no valid JSON",
        "请求体或参数不是有效的 JSON，或请求体不是对象。",
        "The body or a parameter is no valid JSON, or the body is no object.",
        "发送 UTF-8 编码的有效 JSON；请求体应为对象。", "Send valid JSON in UTF-8; a body must be an object.",
    ),
    1022: ErrorText(
        "a parameter does not have the type that the method declares",
        "消息中所指参数的值与所声明的类型不符。", "The value of the parameter that the message names has another type.",
        "按消息中的类型发送该参数。", "Send the parameter in the type that the message names.",
    ),
    1023: ErrorText(
        "a body was sent without a Content-Type",
        "请求有请求体而没有 Content-Type。", "The request has a body and no Content-Type.",
        "加上 Content-Type，例如 application/json。", "Send a Content-Type, as application/json.",
    ),
    1024: ErrorText(
        "a body of this Content-Type, charset or encoding is not read",
        "Content-Type、字符集或压缩方式不受支持。", "The Content-Type, charset or compression is not supported.",
        "以 JSON、表单或 multipart 发送，编码为 UTF-8，不压缩。",
        "Send JSON, a form or multipart, in UTF-8 and not compressed.",
    ),
    1025: ErrorText(
        "the HTTP request itself is malformed",
        "HTTP 请求本身不合规范。", "What was sent is not a correct HTTP request.",
        "使用标准的 HTTP 客户端，并检查中间代理。", "Use a standard HTTP client, and check the proxies in between.",
    ),
    1026: ErrorText(
        "the method needs a caller who says who they are",
        "该方法需要签名，而请求中没有 app_key。", "The method takes signed calls, and there is no app_key.",
        "加上 app_key 并签名。", "Send an app_key, and sign the call.",
    ),
    1027: ErrorText(
        "the rate limit is used up",
        "在限定时间内调用次数过多。", "There were more calls than the limit allows in its time.",
        "等待 Retry-After 所示的秒数后重试。", "Wait as many seconds as Retry-After says, then call again.",
        retryable=True,
    ),
    1028: ErrorText(
        "the body is larger than the limit",
        "请求体超过了上限。", "The body is larger than the limit.",
        "减小请求体，或分多次发送。", "Send less, or in several calls.",
    ),
    1029: ErrorText(
        "the method did not answer in time",
        "方法执行过慢，或服务负载过高。", "The method is slow, or the server has too much to do.",
        "先查询结果再决定是否重试；调用可能已经生效。",
        "See whether the call had an effect before calling again; it may have had one.",
    ),
    1030: ErrorText(
        "too many calls are waiting",
        "等待中的调用过多，该方法暂时停用，或服务所依赖的存储不可用。",
        "Too many calls wait, the method is switched off for now, or a store that the service needs does not answer.",
        "稍后重试，并逐次延长间隔。", "Call again later, and wait longer each time.",
        retryable=True,
    ),
    1031: ErrorText(
        "the app_key is unknown or disabled",
        "app_key 有误，或该应用已停用。", "The app_key is wrong, or the app has been disabled.",
        "核对 app_key，或联系服务方。", "Check the app_key, or ask the operator.",
    ),
    1032: ErrorText(
        "the same signed request was sent before",
        "同一个签名的请求已经收到过。", "A request with the same signature or nonce has come before.",
        "再次调用时使用新的 nonce 或 timestamp 重新签名。", "To call again, sign with a new nonce or timestamp.",
    ),
    1033: ErrorText(
        "the caller may not call this method",
        "该应用无权调用此方法。", "The app has no permission for this method.",
        "向服务方申请权限。", "Ask the operator for the permission.",
    ),
    1034: ErrorText(
        "the Accept header asks for something other than JSON or XML",
        "Accept 既不接受 JSON 也不接受 XML。", "The header Accept takes neither JSON nor XML.",
        "在 Accept 中加上 application/json。", "Name application/json in Accept.",
    ),
    1035: ErrorText(
        "nothing is served at this path",
        "URL 的路径有误。", "The path of the URL is wrong.",
        "调用地址为 /api/router/rest。", "Calls go to /api/router/rest.",
    ),
}  # fmt: skip
