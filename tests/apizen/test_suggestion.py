import pytest

from apizen.suggestion import hint_at


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("enabel", ["func", "enable"], "did you mean 'enable'?"),
        ("xyz", ["func", "enable"], "known are: enable, func"),
        ("", ["func"], "known are: func"),
    ],
)
def test_hint_at(word, known, hint):
    assert hint_at(word, known) == hint
