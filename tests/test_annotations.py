"""Annotations are checked in the first calls of each test, and at times behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from annotations import EACH, FIRST, TESTS, _jaxtyped, start_again
from beartype import beartype
from jaxtyping import Num, TypeCheckError

Square = Num[np.ndarray, "side side"]
GOOD, BAD = np.zeros((2, 2)), np.zeros((2, 3))


@pytest.fixture(autouse=True)
def _checked() -> None:
    start_again()


@pytest.fixture
def size() -> Callable[[np.ndarray], int]:
    """Return a function of square arrays, as the import hook leaves it."""

    @_jaxtyped(typechecker=beartype)
    def function(array: Square) -> int:
        return int(array.size)

    return function


def refuses(size: Callable[[np.ndarray], int]) -> bool:
    try:
        size(BAD)
    except TypeCheckError:
        return True
    return False


def test_a_wrong_shape_is_refused_in_the_first_calls(size: Callable[[np.ndarray], int]) -> None:
    for _ in range(FIRST):
        with pytest.raises(TypeCheckError):
            size(BAD)
    assert size(BAD) == 6


def test_one_call_in_many_is_checked_behind_them(size: Callable[[np.ndarray], int]) -> None:
    for _ in range(10 * EACH - FIRST):
        size(GOOD)
    assert sum(refuses(size) for _ in range(10 * EACH)) == 10


def test_each_test_starts_again(size: Callable[[np.ndarray], int]) -> None:
    for _ in range(2 * FIRST):
        size(GOOD)
    start_again()
    with pytest.raises(TypeCheckError):
        size(BAD)


def test_nothing_is_checked_in_most_tests(size: Callable[[np.ndarray], int]) -> None:
    def checked(number: int) -> bool:
        start_again(f"tests/test_some.py::test_{number}")
        return refuses(size)

    assert 1 <= sum(checked(number) for number in range(8 * TESTS)) < 16


def test_the_fields_of_a_dataclass_are_checked() -> None:
    @_jaxtyped(typechecker=beartype)
    @dataclass(frozen=True, slots=True)
    class Record:
        array: Square

    kind: Any = Record
    assert kind(GOOD).array is GOOD
    with pytest.raises(TypeCheckError):
        kind(BAD)


def test_names_of_sides_are_free_in_an_inner_function_that_is_not_checked() -> None:
    @_jaxtyped(typechecker=beartype)
    def outer(array: Num[np.ndarray, "side"]) -> list[bool]:
        @_jaxtyped(typechecker=beartype)
        def inner(other: np.ndarray) -> bool:
            return isinstance(other, Num[np.ndarray, "side"])

        return [inner(np.zeros(len(array) + 1)) for _ in range(2 * FIRST)]

    assert all(outer(np.zeros(3)))
