"""The list of errors as HTML, for people, in Chinese or in English."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

__all__ = ["html_of"]

_FILE = Path(__file__).parent / "page" / "errors.html"
_FIRST_OF_APPLICATION = 2000

_WORDS = {
    "zh": {
        "locale": "zh-CN",
        "title": "错误码",
        "other_language": '<a href="?format=html&amp;lang=en" lang="en" hreflang="en">English</a>',
        "introduction": (
            " 每个应答的 <code>meta.code</code> 为 1000（成功）或以下之一。"
            "标有“可重试”的调用没有产生任何效果，稍后可原样重发。 "
        ),
        "list": "目录",
        "gateway": "网关的错误",
        "application": "应用的错误",
        "retryable": "可重试",
        "cause": "可能的原因",
        "remedy": "如何处理",
    },
    "en": {
        "locale": "en",
        "title": "Error codes",
        "other_language": '<a href="?format=html&amp;lang=zh" lang="zh-CN" hreflang="zh-CN">中文</a>',
        "introduction": (
            " In each answer, <code>meta.code</code> is 1000 for success, or one of these. A call whose code is marked"
            " “retryable” had no effect, and may be sent again later as it is. "
        ),
        "list": "Codes",
        "gateway": "Errors of the gateway",
        "application": "Errors of the application",
        "retryable": "retryable",
        "cause": "Likely cause",
        "remedy": "What to do",
    },
}  # fmt: skip

_ARTICLE = Template(
    '    <article id="$code"> <h3><a href="#$code">$code</a> <span>$name</span>'
    ' <span class="badge">HTTP $http_status</span> $retryable</h3> $other_name $explanation </article> '
)


def html_of(entries: Sequence[Mapping[str, Any]], language: str) -> bytes:
    """The HTML of these entries of the list of errors; ``language`` is ``zh`` or ``en``."""
    groups = {
        "gateway": [entry for entry in entries if entry["code"] < _FIRST_OF_APPLICATION],
        "application": [entry for entry in entries if entry["code"] >= _FIRST_OF_APPLICATION],
    }
    shown = "".join(_group(name, group, language) for name, group in groups.items() if group)
    codes = "".join(f'<li><a href="#{entry["code"]}">{entry["code"]}</a></li> ' for entry in entries)
    return _template().substitute(_WORDS[language], codes=codes, groups=shown).encode()


@cache
def _template() -> Template:
    return Template(re.sub(r"\s+", " ", _FILE.read_text("utf-8")))


def _group(name: str, entries: Sequence[Mapping[str, Any]], language: str) -> str:
    articles = "".join(_article(entry, language) for entry in entries)
    return f" <h2>{_WORDS[language][name]}</h2> {articles} "


def _article(entry: Mapping[str, Any], language: str) -> str:
    words = _WORDS[language]
    name, other_name = _both_names(entry, language)
    suffix = "" if language == "zh" else "_english"
    cause, remedy = (entry[key + suffix] or entry[key] for key in ("cause", "remedy"))
    other_language = "en" if language == "zh" else "zh-CN"
    return _ARTICLE.substitute(
        code=entry["code"],
        http_status=entry["http_status"],
        name=escape(name),
        retryable=f'<span class="badge yes">{words["retryable"]}</span>' if entry["retryable"] else "",
        other_name=f'<p class="other" lang="{other_language}">{escape(other_name)}</p>' if other_name else "",
        explanation=f"<dl> {_term(words['cause'], cause)} {_term(words['remedy'], remedy)} </dl>"
        if cause or remedy
        else "",
    )


def _both_names(entry: Mapping[str, Any], language: str) -> tuple[str, str]:
    """The error's message in the language of the page, and the one in the other language, if there is one."""
    message, english = entry["message"], entry["english"]
    if language == "zh" or not english:
        return message, english
    return english[:1].upper() + english[1:], message


def _term(term: str, text: str) -> str:
    return f"<dt>{term}</dt><dd>{escape(text)}</dd>" if text else ""
