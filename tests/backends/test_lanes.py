"""Numbers side by side: sums of rows and lists of marks are those that numpy finds."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.backends.event.flat import LINE, on_lines
from snn_deploy.backends.event.layers.kernels.advance import _list
from snn_deploy.backends.event.layers.kernels.sums import _add_rows, _add_short
from snn_deploy.backends.event.layers.tables import EDGE, ROW

_compiled: Callable[[Callable[..., Any]], Any] = numba.njit(_nrt=False)  # never from a cache


@_compiled
def _rows(
    sums: np.ndarray, weights: np.ndarray, edges: np.ndarray, rows: np.ndarray, minus: bool
) -> None:
    _add_rows(sums, weights, edges[0], rows, minus)


@_compiled
def _short(sums: np.ndarray, to: int, weights: np.ndarray, first: int, size: int) -> None:
    _add_short(sums, to, weights, first, size)


@_compiled
def _marked(
    events: np.ndarray, count: int, marks: np.ndarray, at: int, size: int, first: int
) -> int:
    return _list(events, count, marks, at, size, first)


KINDS = [(np.int16, np.int8), (np.int32, np.int8), (np.int32, np.int32)]


@pytest.mark.parametrize(("sums", "weights"), KINDS)
@settings(max_examples=60)
@given(
    size=st.integers(1, 700),
    rows=st.lists(st.integers(0, 9), max_size=30),
    minus=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_add_up_or_are_subtracted_with_the_extremes_of_their_type(
    sums: type, weights: type, size: int, rows: list[int], minus: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    row = -(-size // ROW) * ROW
    table = np.zeros((10, row), weights)
    table[:, :size] = rng.choice([-128, -127, -1, 0, 1, 127], (10, size))
    edges = np.zeros(1, EDGE)
    edges["weight"], edges["size"], edges["row"] = 3 * row, size, row
    before = np.zeros(-(-size // LINE) * LINE, sums)
    before[:size] = rng.integers(-9, 9, size)
    found, listed = before.copy(), np.array(rows, np.int32)
    _rows(found, np.concatenate([table[:3], table]).ravel(), edges, listed, minus)
    added = table[rows].sum(axis=0, dtype=np.int64)
    expected = before.astype(np.int64)
    expected[:row] += -added if minus else added
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("sums", "weights"), KINDS)
@pytest.mark.parametrize("size", range(100))
def test_a_short_row_adds_to_its_own_sums_alone(sums: type, weights: type, size: int) -> None:
    rng = np.random.default_rng(size)
    row, before = rng.integers(-128, 128, 120).astype(weights), rng.integers(-9, 9, 120)
    found = before.astype(sums)
    _short(found, 7, row, 5, size)
    expected = before.copy()
    expected[7 : 7 + size] += row[5 : 5 + size]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@settings(max_examples=100)
@given(data=st.data(), share=st.sampled_from([0.0, 0.02, 0.2, 0.9, 1.0]), first=st.integers(0, 99))
def test_marks_are_listed_in_order_and_what_lies_behind_them_is_not(
    dtype: type, data: st.DataObject, share: float, first: int
) -> None:
    size = data.draw(st.integers(0, 300), label="size")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    rng = np.random.default_rng(seed)
    marks = on_lines((64 + 320,), dtype)
    marks[:] = 1
    marks[64 : 64 + size] = rng.random(size) < share
    events = np.full(5 + size + LINE, -1, np.int32)
    count = _marked(events, 5, marks, 64, size, first)
    expected = first + np.flatnonzero(marks[64 : 64 + size])
    assert count == 5 + expected.size
    np.testing.assert_array_equal(events[5:count], expected)
    np.testing.assert_array_equal(events[:5], -1)
