import functools
import importlib.util
import inspect
import re
import sys
import time
from typing import Any

import pytest

import apizen
from apizen.catalogue import Catalogue
from apizen.endpoint import Endpoint
from apizen.exception import ApiException
from apizen.version import ApiMethodBase, ApiMethodsBase, RegistrationError, Registry, default_registry, version


def one(): return 1  # fmt: skip


def two(): return 2  # fmt: skip


def with_args(*values): ...  # fmt: skip
def with_unknown_hint(user_id: "NoSuchType"): ...  # fmt: skip # noqa: F821
async def waiting(): ...  # fmt: skip
async def streaming(): yield 1  # fmt: skip


class Waiting:
    async def __call__(self): ...

    async def method(self): ...


def methods(name: str, *parents: type, **tables: Any) -> Any:
    """A version class, as a class statement with these tables would make it."""
    return type(ApiMethodBase)(name, parents or (ApiMethodBase,), {"__module__": __name__, **tables})


def catalogue_of(**versions: Any) -> Catalogue:
    """The catalogue of classes, or of tables of entries, under the versions ``v1``, ``v2`` …"""
    registry = Registry()
    for name, given in versions.items():
        methods_of_version = methods("Methods", api_methods=given) if isinstance(given, dict) else given
        version(name, registry=registry)(methods_of_version)
    return registry.catalogue()


def functions(catalogue: Catalogue, name: str) -> dict[str, Any]:
    return {key: endpoint.plan.function for key, endpoint in catalogue.methods[name].items() if endpoint}


def endpoint_of(**entry: Any) -> Endpoint:
    catalogue = catalogue_of(v1={"m": {"func": one, **entry}})
    assert catalogue.problems == ()
    return catalogue.find("v1", "m")


def refusal(catalogue: Catalogue, name: str, method: str = "m") -> tuple[int, int, str]:
    with pytest.raises(ApiException) as caught:
        catalogue.find(name, method)
    return caught.value.err_code, caught.value.status_code, str(caught.value)


def place_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__} ({__file__}:{inspect.getsourcelines(thing)[1]})"


# Imports


def test_imports():
    module = importlib.import_module("apizen.version")
    assert apizen.version is version is module.version
    assert apizen.ApiMethodBase is ApiMethodBase is ApiMethodsBase is apizen.ApiMethodsBase
    assert callable(apizen.version)


def test_default_registry():
    assert inspect.signature(version).parameters["registry"].default is default_registry
    assert isinstance(default_registry, Registry)


# Inheritance

FIRST, SECOND = {"func": one}, {"func": two}


def test_version_inherits():
    parent = methods("Parent", api_methods={"a": FIRST, "b": FIRST})
    child = methods("Child", parent, api_methods={"b": SECOND, "c": SECOND})
    catalogue = catalogue_of(v1=parent, v2=child)
    assert functions(catalogue, "v1") == {"a": one, "b": one}
    assert functions(catalogue, "v2") == {"a": one, "b": two, "c": two}


def test_version_without_a_table_of_its_own():
    parent = methods("Parent", api_methods={"a": FIRST})
    assert functions(catalogue_of(v2=methods("Child", parent)), "v2") == {"a": one}
    assert functions(catalogue_of(v0=methods("Empty")), "v0") == {}


def test_entry_of_a_child_replaces_the_whole_entry():
    parent = methods("Parent", api_methods={"a": {"func": one, "enable": False, "method": "post"}})
    child = methods("Child", parent, api_methods={"a": FIRST})
    endpoint = catalogue_of(v2=child).find("v2", "a")
    assert (endpoint.enable, endpoint.verbs) == (True, {"GET", "POST"})


def diamond(**tables: Any) -> dict[str, Any]:
    """The functions of Child(Left, Right), where Left and Right inherit from Base."""
    base = methods("Base", api_methods={"base": FIRST, "m": FIRST})
    left = methods("Left", base, api_methods=tables.get("left", {}))
    right = methods("Right", base, api_methods=tables.get("right", {}))
    return functions(catalogue_of(v1=methods("Child", left, right, api_methods=tables.get("child", {}))), "v1")


@pytest.mark.parametrize(
    ("tables", "merged"),
    [
        ({}, {"base": one, "m": one}),
        ({"left": {"l": FIRST}, "right": {"r": SECOND}}, {"base": one, "m": one, "l": one, "r": two}),
        ({"left": {"x": FIRST}, "right": {"x": SECOND}}, {"base": one, "m": one, "x": one}),
        ({"right": {"m": SECOND}}, {"base": one, "m": two}),
        ({"left": {"m": FIRST}, "right": {"m": SECOND}}, {"base": one, "m": one}),
        ({"right": {"m": None}}, {"base": one}),
        ({"left": {"m": None}, "right": {"m": SECOND}}, {"base": one}),
        ({"left": {"m": SECOND}, "right": {"m": None}}, {"base": one, "m": two}),
        ({"left": {"m": None}, "child": {"m": SECOND}}, {"base": one, "m": two}),
        ({"child": {"m": None, "base": None, "unknown": None}}, {}),
    ],
)
def test_multiple_inheritance_follows_the_method_resolution_order(tables, merged):
    assert diamond(**tables) == merged


def test_none_removes_from_that_version_on():
    first = methods("First", api_methods={"m": FIRST, "other": FIRST})
    second = methods("Second", first, api_methods={"m": None})
    third = methods("Third", second)
    fourth = methods("Fourth", third, api_methods={"m": SECOND})
    catalogue = catalogue_of(v1=first, v2=second, v3=third, v4=fourth)
    assert catalogue.find("v1", "m").plan.function is one
    assert refusal(catalogue, "v2") == refusal(catalogue, "v3") == (1013, 404, "不存在的方法名")
    assert catalogue.find("v4", "m").plan.function is two
    assert catalogue.problems == ()


@pytest.mark.parametrize("table", ["api_methods", "support_methods"])
def test_both_spellings_of_the_table(table):
    child = methods("Child", methods("Parent", **{table: {"a": FIRST}}), **{table: {"b": SECOND}})
    assert functions(catalogue_of(v1=child), "v1") == {"a": one, "b": two}


def test_api_methods_wins_over_support_methods():
    both = methods("Both", api_methods={"m": FIRST, "a": FIRST}, support_methods={"m": SECOND, "s": SECOND})
    assert functions(catalogue_of(v1=both), "v1") == {"m": one, "a": one, "s": two}


def test_api_methods_wins_with_none():
    both = methods("Both", support_methods={"m": SECOND}, api_methods={"m": None})
    assert functions(catalogue_of(v1=both), "v1") == {}


def test_support_methods_of_a_child_win_over_api_methods_of_its_parent():
    child = methods("Child", methods("Parent", api_methods={"m": FIRST}), support_methods={"m": SECOND})
    assert functions(catalogue_of(v1=child), "v1") == {"m": two}


@pytest.mark.parametrize(("table", "kind"), [([], "list"), (None, "NoneType"), ("m", "str")])
@pytest.mark.parametrize("name", ["api_methods", "support_methods"])
def test_table_that_is_no_dict(name, table, kind):
    problem = f"{__name__}.Bad: {name} must be a dict of entries, not {kind}"
    with pytest.raises(RegistrationError, match=f"^{re.escape(problem)}$"):
        methods("Bad", **{name: table})


# Registration


def test_version_gives_back_the_class():
    given = methods("Methods")
    assert version("1.0", registry=Registry())(given) is given


@pytest.mark.parametrize(
    ("given", "name"), [(1.0, "1.0"), ("1.0", "1.0"), (1.5, "1.5"), (2, "2"), ("2017-05-a", "2017-05-a")]
)
def test_version_name(given, name):
    registry = Registry()
    version(given, registry=registry)(methods("Methods", api_methods={"m": FIRST}))
    catalogue = registry.catalogue()
    assert catalogue.versions == {name: True}
    assert catalogue.find(name, "m").version == name


@pytest.mark.parametrize("name", ["", " ", "1 0", " 1.0", "1.0\n", "1\u30000", "a" * 65, "a\x00"])
def test_version_name_refused(name):
    problem = f"{__name__}.Methods: {name!r} can't be a version, it must be a text without blanks"
    with pytest.raises(RegistrationError, match=f"^{re.escape(problem)}$"):
        version(name, registry=Registry())(methods("Methods"))


@pytest.mark.parametrize(("first", "second"), [("1.0", "1.0"), ("1.0", 1.0), (1.0, "1.0"), (1.1, 1.10)])
def test_version_registered_twice(first, second):
    registry = Registry()

    @version(first, registry=registry)
    class First(ApiMethodBase): ...

    class Second(ApiMethodBase): ...

    problem = f"version {first} is registered twice: {place_of(First)} and {place_of(Second)}"
    with pytest.raises(RegistrationError, match=f"^{re.escape(problem)}$"):
        version(second, registry=registry)(Second)


def test_version_registered_twice_in_two_registries():
    for registry in (Registry(), Registry()):
        version("1.0", registry=registry)(methods("Methods", api_methods={"m": FIRST}))
        assert registry.catalogue().find("1.0", "m").plan.function is one


def test_version_registered_late():
    registry = Registry()
    registry.catalogue()

    class Late(ApiMethodBase): ...

    problem = f"version 1.0 of {place_of(Late)} comes too late: the server has started"
    with pytest.raises(RegistrationError, match=f"^{re.escape(problem)}$"):
        version("1.0", registry=registry)(Late)


def test_version_of_another_class():
    class Other: ...

    problem = f"{place_of(Other)} must inherit from ApiMethodBase to be version 1.0"
    with pytest.raises(RegistrationError, match=f"^{re.escape(problem)}$"):
        version("1.0", registry=Registry())(Other)


# Disabled versions


def registry_with_disabled_parent() -> Registry:
    registry = Registry()
    parent = methods("Parent", api_methods={"m": FIRST})
    version("1.0", enable=False, registry=registry)(parent)
    version("1.1", registry=registry)(methods("Child", parent, api_methods={"n": SECOND}))
    return registry


def test_disabled_version_answers_1006():
    catalogue = registry_with_disabled_parent().catalogue()
    assert refusal(catalogue, "1.0") == (1006, 400, "接口版本已停用")
    assert refusal(catalogue, "1.0", "unknown") == (1006, 400, "接口版本已停用")
    assert catalogue.versions == {"1.0": False, "1.1": True}


def test_disabled_version_is_usable_as_a_parent():
    catalogue = registry_with_disabled_parent().catalogue()
    assert functions(catalogue, "1.1") == {"m": one, "n": two}


def test_disabled_version_is_checked():
    registry = Registry()
    version("1.0", enable=False, registry=registry)(methods("Methods", api_methods={"m": {"func": 5}}))
    assert [problem.version for problem in registry.catalogue().problems] == ["1.0"]


# Looking up


@pytest.mark.parametrize(
    ("name", "method", "error"),
    [
        ("", "m", (1005, 400, "不支持的版本号")),
        ("v9", "m", (1005, 400, "不支持的版本号")),
        ("V1", "m", (1005, 400, "不支持的版本号")),
        ("1 0", "m", (1006, 400, "非法的版本参数")),
        ("1\n", "m", (1006, 400, "非法的版本参数")),
        ("\x00", "m", (1006, 400, "非法的版本参数")),
        ("1" * 65, "m", (1006, 400, "非法的版本参数")),
        ("v1", "", (1013, 404, "不存在的方法名")),
        ("v1", "M", (1013, 404, "不存在的方法名")),
        ("v1", "unknown", (1013, 404, "不存在的方法名")),
        ("v1", "stopped", (1016, 405, "api已经停用")),
        ("v1", "bad", (1020, 500, "错误的API配置")),
    ],
)
def test_find_refused(name, method, error):
    entries = {"m": FIRST, "stopped": {"func": one, "enable": False}, "bad": {"func": with_args}}
    assert refusal(catalogue_of(v1=entries), name, method) == error


def test_find():
    endpoint = catalogue_of(v1={"m": FIRST}).find("v1", "m")
    assert (endpoint.version, endpoint.name, endpoint.plan.function) == ("v1", "m", one)


def test_a_bad_entry_leaves_the_others():
    catalogue = catalogue_of(v1={"bad": {"func": with_args}, "m": FIRST}, v2={"m": SECOND})
    assert functions(catalogue, "v1") == {"m": one}
    assert functions(catalogue, "v2") == {"m": two}


def test_catalogue_cannot_be_changed():
    catalogue: Any = catalogue_of(v1={"m": FIRST})
    for table in (catalogue.methods, catalogue.methods["v1"], catalogue.versions):
        with pytest.raises(TypeError, match="does not support item assignment"):
            table["x"] = None
    with pytest.raises(AttributeError):
        catalogue.problems = ()
    with pytest.raises(AttributeError):
        catalogue.find("v1", "m").enable = False


# Entries


def test_entry_defaults():
    endpoint = endpoint_of()
    assert (endpoint.verbs, endpoint.enable, endpoint.mode) == ({"GET", "POST"}, True, "thread")
    assert (endpoint.timeout, endpoint.raw) == (30.0, None)


@pytest.mark.parametrize("key", ["method", "methods"])
@pytest.mark.parametrize(
    ("given", "verbs", "allow"),
    [
        (["post"], {"POST"}, "POST, OPTIONS"),
        (["GET"], {"GET"}, "GET, HEAD, OPTIONS"),
        (["gEt", "Post"], {"GET", "POST"}, "GET, POST, HEAD, OPTIONS"),
        (("delete", "put", "PATCH"), {"PUT", "PATCH", "DELETE"}, "PUT, PATCH, DELETE, OPTIONS"),
        ({"get"}, {"GET"}, "GET, HEAD, OPTIONS"),
        ("post", {"POST"}, "POST, OPTIONS"),
    ],
)
def test_entry_verbs(key, given, verbs, allow):
    endpoint = endpoint_of(**{key: given})
    assert (endpoint.verbs, endpoint.allow) == (verbs, allow)


def test_entry_disabled():
    catalogue = catalogue_of(v1={"m": {"func": one, "enable": False}})
    with pytest.raises(ApiException) as caught:
        catalogue.find("v1", "m")
    assert caught.value.headers == {"Allow": ""}


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        ({"func": one}, "thread"),
        ({"func": one, "run": "thread"}, "thread"),
        ({"func": one, "run": "inline"}, "inline"),
        ({"func": waiting}, "loop"),
        ({"func": streaming}, "loop"),
        ({"func": Waiting()}, "loop"),
        ({"func": Waiting().method}, "loop"),
        ({"func": functools.partial(waiting)}, "loop"),
        ({"func": functools.partial(functools.partial(Waiting()))}, "loop"),
        ({"func": Waiting}, "thread"),
    ],
)
def test_entry_run(entry, mode):
    assert endpoint_of(**entry).mode == mode


@pytest.mark.parametrize(("given", "seconds"), [(5, 5.0), (0.25, 0.25)])
def test_entry_timeout(given, seconds):
    assert repr(endpoint_of(timeout=given).timeout) == repr(seconds)


@pytest.mark.parametrize(("given", "raw"), [(False, None), (True, ""), ("text/csv", "text/csv")])
def test_entry_raw(given, raw):
    assert endpoint_of(raw=given).raw == raw


KEYS = "enable, func, max_body, method, methods, raw, run, timeout"


METHOD = classmethod(one)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (5, "its entry must be a dict, not 5"),
        pytest.param(one, f"its entry must be a dict, not {one!r}", id="a function"),
        ({}, "func must be a function, not None"),
        ({"func": "one"}, "func must be a function, not 'one'"),
        pytest.param({"func": METHOD}, f"func must be a function, not {METHOD!r}", id="a classmethod"),
        ({"func": one, "enabel": True}, "unknown key 'enabel' in its entry, did you mean 'enable'?"),
        (
            {"func": one, "xyz": 1},
            f"unknown key 'xyz' in its entry, known are: {KEYS}",
        ),
        (
            {"func": one, 5: 1},
            f"unknown key 5 in its entry, known are: {KEYS}",
        ),
        ({"func": one, "enable": "no"}, "enable must be True or False, not 'no'"),
        ({"func": one, "enable": None}, "enable must be True or False, not None"),
        ({"func": one, "method": ["fetch"]}, "method must name some of GET, POST, PUT, PATCH, DELETE, not ['fetch']"),
        ({"func": one, "methods": []}, "method must name some of GET, POST, PUT, PATCH, DELETE, not []"),
        ({"func": one, "method": 5}, "method must name some of GET, POST, PUT, PATCH, DELETE, not 5"),
        ({"func": one, "method": "get,post"}, "method must name some of GET, POST, PUT, PATCH, DELETE, not 'get,post'"),
        ({"func": one, "method": ["get"], "methods": ["get"]}, "method is given under both of its spellings"),
        ({"func": one, "run": "loop"}, "run must be 'thread' or 'inline', not 'loop'"),
        (
            {"func": waiting, "run": "inline"},
            "run 'inline' is for plain functions: an async function runs on the event loop",
        ),
        (
            {"func": one, "run": "inline", "timeout": 5},
            "timeout can't apply to run 'inline': nothing can interrupt the event loop",
        ),
        ({"func": one, "timeout": 0}, "timeout must be a number of seconds above 0, not 0"),
        ({"func": one, "timeout": -1}, "timeout must be a number of seconds above 0, not -1"),
        ({"func": one, "timeout": "5"}, "timeout must be a number of seconds above 0, not '5'"),
        ({"func": one, "timeout": True}, "timeout must be a number of seconds above 0, not True"),
        ({"func": one, "timeout": None}, "timeout must be a number of seconds above 0, not None"),
        ({"func": one, "timeout": float("inf")}, "timeout must be a number of seconds above 0, not inf"),
        ({"func": one, "timeout": float("nan")}, "timeout must be a number of seconds above 0, not nan"),
        ({"func": one, "max_body": -1}, "max_body must be a number of bytes, not -1"),
        ({"func": one, "max_body": 1.5}, "max_body must be a number of bytes, not 1.5"),
        ({"func": one, "max_body": True}, "max_body must be a number of bytes, not True"),
        ({"func": one, "raw": "csv"}, "raw must be True, False or a Content-Type, not 'csv'"),
        ({"func": one, "raw": "a/b\r\nX: y"}, "raw must be True, False or a Content-Type, not 'a/b\\r\\nX: y'"),
        ({"func": one, "raw": 1}, "raw must be True, False or a Content-Type, not 1"),
        (
            {"func": with_args},
            f"{place_of(with_args)}: parameter *values: positional parameters without a name are not supported",
        ),
        (
            {"func": functools.partial(with_unknown_hint)},
            f"{place_of(with_unknown_hint)}: parameter user_id: its type hint 'NoSuchType' can't be read: "
            "name 'NoSuchType' is not defined",
        ),
        (
            {"func": max},
            "builtins.max: its signature can't be read: no signature found for builtin <built-in function max>",
        ),
    ],
)  # fmt: skip
def test_entry_with_a_problem(entry, reason):
    catalogue = catalogue_of(v1={"m": entry})
    assert [str(problem) for problem in catalogue.problems] == [
        f"version v1, method m: {reason}; registered in {__name__}.Methods"
    ]
    assert refusal(catalogue, "v1") == (1020, 500, "错误的API配置")


@pytest.mark.parametrize("name", ["", " m", "m ", "\tm", 5, None])
def test_method_name_refused(name):
    catalogue = catalogue_of(v1={name: FIRST, "m": FIRST})
    assert [str(problem) for problem in catalogue.problems] == [
        f"version v1, method {name}: a method name must be a text without blanks around it, not {name!r}; "
        f"registered in {__name__}.Methods"
    ]
    assert functions(catalogue, "v1") == {"m": one}


def test_problem_names_the_class_that_has_the_entry():
    registry = Registry()

    @version("1.0", registry=registry)
    class Parent(ApiMethodBase):
        api_methods = {"m": {"func": 5}}  # noqa: RUF012

    @version("1.1", registry=registry)
    class Child(Parent): ...

    assert [str(problem) for problem in registry.catalogue().problems] == [
        f"version 1.0, method m: func must be a function, not 5; registered in {place_of(Parent)}",
        f"version 1.1, method m: func must be a function, not 5; registered in {place_of(Parent)}",
    ]
    assert Child.entries == Parent.entries


def test_problem_of_a_replaced_entry_is_gone():
    parent = methods("Parent", api_methods={"m": {"func": 5}})
    assert catalogue_of(v1=methods("Child", parent, api_methods={"m": FIRST})).problems == ()
    assert catalogue_of(v1=methods("Child", parent, api_methods={"m": None})).problems == ()


def test_all_problems_are_reported():
    catalogue = catalogue_of(v1={"a": {"func": 5}, "b": {"func": with_args}}, v2={"c": 5, "m": FIRST})
    assert [(problem.version, problem.name) for problem in catalogue.problems] == [
        ("v1", "a"),
        ("v1", "b"),
        ("v2", "c"),
    ]


def test_many_methods_are_registered_in_no_time(tmp_path, monkeypatch):
    lines = [
        "from apizen import ApiMethodBase, version",
        "from apizen.version import Registry",
        "registry = Registry()",
    ]
    parent = "ApiMethodBase"
    for number in range(4):
        entries = ", ".join(f"\n    'shop.{number}.{name}': {{'func': lambda a: a}}" for name in range(50))
        lines.append(f"@version('1.{number}', registry=registry)")
        lines.append(f"class V{number}({parent}): api_methods = {{{entries}}}")
        parent = f"V{number}"
    (tmp_path / "many.py").write_text("\n".join(lines))
    specification = importlib.util.spec_from_file_location("many", tmp_path / "many.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["many"] = module
    read = []
    monkeypatch.setattr(inspect, "getsourcelines", read.append)  # what would take longest, many times over
    started = time.thread_time()
    try:
        specification.loader.exec_module(module)
        catalogue = module.registry.catalogue()
    finally:
        del sys.modules["many"]
    assert len(catalogue.methods["1.3"]) == 200
    assert read == []
    assert time.thread_time() - started < 5


class OfAnotherModule:
    """A class whose module is not imported under its name, as exec and notebooks make them."""

    __module__ = "not.imported"

    def __init__(self, a: "int") -> None: ...


def test_problem_with_a_class_of_no_module_leaves_the_others():
    catalogue = catalogue_of(v1={"a": {"func": OfAnotherModule}, "m": FIRST})
    assert functions(catalogue, "v1")["m"] is one
