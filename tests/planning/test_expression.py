"""Expressions choose the rows for which they are true, one by one or all at once."""

import random
from typing import Any

import numpy as np
import pytest

from psyrun.errors import PsyrunError
from psyrun.planning.expression import Expression

COLUMNS: dict[str, Any] = {
    "x": np.array([0, 1, 2, 3]),
    "beta": np.array([0.1, 0.3, np.nan, 0.5]),
    "name": ["a", "ab", "b", "c"],
    "ok": [True, False, True, True],
    "wave": np.array([[0.0, 1.0], [5.0, 1.0], [2.0, 2.0], [3.0, 9.0]]),
    "model": [None, {"n": 1}, {"n": 2}, "text"],
    "max": [7, 8, 9, 10],
}


def chosen(text: str, columns: dict[str, Any] = COLUMNS) -> list[int]:
    expression = Expression(text)
    expression.check_names(columns)
    return np.flatnonzero(expression.chosen(columns, 4)).tolist()


CASES = {
    "x > 1": [2, 3],
    "beta < 0.4": [0, 1],
    "not beta < 0.4": [2, 3],
    "beta < 0.4 and ok": [0],
    "beta < 0.2 or x == 3": [0, 3],
    "(x > 0) & (x < 3)": [1, 2],
    "0 < x <= 2": [1, 2],
    "~(x > 1)": [0, 1],
    "x in (1, 3)": [1, 3],
    "x not in [1, 3]": [0, 2],
    "name == 'ab'": [1],
    "'a' in name": [0, 1],
    "name.startswith('a')": [0, 1],
    "np.isnan(beta)": [2],
    "np.sqrt(x) > 1": [2, 3],
    "np.sqrt(x - 2) >= 0": [2, 3],
    "math.sqrt(x) > 1.5": [3],
    "abs(x - 2) == 1": [1, 3],
    "1 / x > 0.4": [0, 1, 2],
    "ok": [0, 2, 3],
    "True": [0, 1, 2, 3],
    "wave.max() > 3": [1, 3],
    "wave[0] == 2": [2],
    "len(wave) > 3": [],
    "np.mean(x) > 1": [2, 3],
    "any(each > 4 for each in wave)": [1, 3],
    "[v for v in wave if v > x] == []": [2],
    "model is None": [0],
    "isinstance(model, str)": [3],
    "max > 8": [2, 3],
    "x == 'a'": [],
}


@pytest.mark.parametrize(("text", "rows"), CASES.items())
def test_an_expression_is_true_for_single_rows(text: str, rows: list[int]) -> None:
    assert chosen(text) == rows


def random_expression(rng: random.Random, depth: int = 3) -> str:
    if depth == 0:
        return rng.choice(["x", "beta", "ok", "1", "0.3", "-2", "name", "'ab'", "nan"])
    left, right = (random_expression(rng, depth - 1) for _ in range(2))
    kinds = [
        *(f"({left} {op} {right})" for op in ("<", ">=", "==", "!=", "+", "*", "/")),
        *(f"({left} {op} {right})" for op in ("and", "or", "&", "|", "%", "//")),
        *(f"({text})" for text in (f"not {left}", f"~{left}", f"abs({left})")),
        f"({left} in ({right}, 1))",
        f"np.hypot({left}, {right})",
        f"(1 < {left} < {right})",
    ]
    return rng.choice(kinds)


INTEGERS = [
    ("n**-1 == 0.5", {"n": [1, 2, 3, 4]}, [1]),
    ("n * n * n > 5", {"n": [1, 2**30, 2**40, 2**62]}, [1, 2, 3]),
    ("n**9 > 1e50", {"n": [1, 2**30, 2**40, 2**62]}, [1, 2, 3]),
    ("n + 1 > n", {"n": [0, 2**62, 2**63 - 1, -(2**63)]}, [0, 1, 2, 3]),
    ("n * n == 10000", {"n": np.array([100, 1, -100, 3], dtype=np.int8)}, [0, 2]),
    ("n - 2 < 0", {"n": np.array([1, 2, 3, 0], dtype=np.uint8)}, [0, 3]),
    ("-n < 0", {"n": np.array([1, 2, 3, 0], dtype=np.uint16)}, [0, 1, 2]),
    ("-n < 0 and 'a' in t", {"n": np.arange(4, dtype="u1"), "t": list("abaa")}, [2, 3]),
]


@pytest.mark.parametrize(("text", "columns", "rows"), INTEGERS)
def test_integers_are_those_of_python(
    text: str, columns: dict[str, Any], rows: list[int]
) -> None:
    assert chosen(text, columns) == rows


@pytest.mark.parametrize("seed", range(400))
def test_all_at_once_is_the_same_as_one_by_one(seed: int) -> None:
    text = random_expression(random.Random(seed))
    expression = Expression(text)
    whole = outcome(expression, COLUMNS, 4)
    single = [
        outcome(expression, {k: v[i : i + 1] for k, v in COLUMNS.items()}, 1)
        for i in range(4)
    ]
    if any(each is None for each in single):
        assert whole is None, text
    else:
        assert whole == [each[0] for each in single if each], text


def outcome(
    expression: Expression, columns: dict[str, Any], n_rows: int
) -> list[bool] | None:
    """Return for which rows it is true, None if it is no expression for them."""
    try:
        return expression.chosen(columns, n_rows).tolist()
    except PsyrunError:
        return None


def test_columns_of_single_values_are_not_gone_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_rows = 1_000_000
    columns = {"x": np.arange(n_rows), "ok": np.ones(n_rows, bool)}
    expression = Expression("0 < x < 5 and not np.isnan(x * 0.5) and ok")
    monkeypatch.setattr(expression, "_row_by_row", unexpected)
    assert expression.chosen(columns, n_rows).sum() == 4


def unexpected(*_: object) -> Any:
    raise AssertionError("rows were gone through in vain")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beta <", "'beta <' is no Python expression (invalid syntax)."),
        ("x = 3", "Compare with '=='."),
        ("", "is no Python expression"),
        ("x\0", "is no Python expression"),
        ("import os", "is no Python expression"),
        ("x.__class__ == int", "uses '__class__'. Leave out what begins with '_'."),
        ("betta < 3", "uses 'betta', which is no parameter or result. Did you mean"),
        ("betta < 3", "There are x, beta, name, ok, wave, model, max."),
        ("open('file')", "uses 'open'"),
        ("__import__('os')", "uses '__import__'"),
        ("x", "'x' gives int64 for x=0, not true or false. Compare"),
        ("beta + 1", "gives float64 for beta=0.1"),
        ("'x'", "gives str for a row"),
        (
            "wave > 1",
            "gives ndarray for wave=array([0., 1.]), not true or false. Say np.",
        ),
        ("name > 3", "fails for name='a': TypeError: "),
        ("model['n'] == 1", "fails for model=None: TypeError: "),
    ],
)
def test_what_chooses_no_rows_is_refused_in_a_line(text: str, said: str) -> None:
    with pytest.raises(PsyrunError) as caught:
        chosen(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_chosen_of_no_rows() -> None:
    assert Expression("x > 1").chosen({"x": []}, 0).tolist() == []
