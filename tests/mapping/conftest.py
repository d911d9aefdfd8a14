"""Mapping asks millions of small questions: only some tests check the types of all of them."""

from collections.abc import Iterator

import pytest
from strategies import unchecked


@pytest.fixture(autouse=True, scope="module")
def _fast(request: pytest.FixtureRequest) -> Iterator[None]:
    """Switch the type checks off, but in modules whose networks are small."""
    if request.module.__name__.rpartition(".")[2] in {"test_bits", "test_refusals"}:
        yield
        return
    with unchecked():
        yield
