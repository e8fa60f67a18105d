import pytest

from apizen.docstring import Docstring, read

GOOGLE = """Find a user.

    The name is compared
    without case: as in a passport.

    Args:
        name (str): the name,
            as it is written
        age: in years

    Returns:
        User: the one that was found
    """
NUMPY = """Find a user.

    The name is compared
    without case: as in a passport.

    Parameters
    ----------
    name : str
        the name,
        as it is written
    age
        in years

    Returns
    -------
    User
        the one that was found
    """
SPHINX = """Find a user.

    The name is compared
    without case: as in a passport.

    :param name: the name,
        as it is written
    :param int age: in years
    :returns: the one that was found
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX])
def test_styles(text):
    assert read(text) == Docstring(
        "Find a user.",
        "The name is compared\nwithout case: as in a passport.",
        {"name": "the name, as it is written", "age": "in years"},
        "the one that was found",
    )


@pytest.mark.parametrize("text", [None, "", " \n "])
def test_nothing(text):
    assert read(text) == Docstring("", "", {}, "")


@pytest.mark.parametrize(
    ("text", "summary", "description"),
    [
        ("查询用户。", "查询用户。", ""),
        ("查询用户。\n\n    参数：name 是姓名", "查询用户。", "参数：name 是姓名"),
        ("One: two\n\n    Example::\n\n        x: 1", "One: two", "Example::\n\n    x: 1"),
        ("A user\n    of two lines.\n\n    More.", "A user of two lines.", "More."),
    ],
)
def test_text_of_no_style(text, summary, description):
    assert read(text) == Docstring(summary, description)


@pytest.mark.parametrize(
    "text",
    ["Find.\n\n    :param", "Find.\n\n    :param :", "Find.\n\n    Args:", "Find.\n\n    Args:\n        name - a"],
)
def test_half_a_style_loses_no_summary(text):
    assert read(text).summary == "Find."


def test_what_the_parser_refuses_is_a_description(monkeypatch):
    def refuse(text: str) -> None:
        raise ValueError(text)

    monkeypatch.setattr("docstring_parser.parse", refuse)
    assert read("Find.\n\n    :param\n") == Docstring("Find.", ":param")
