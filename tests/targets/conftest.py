"""What the tests of targets share: descriptions like the shipped ones, with changes."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import snn_deploy.targets

OwnTarget = Callable[..., Path]


@pytest.fixture
def own_target() -> OwnTarget:
    """Return a function that writes a description like a shipped one, with texts replaced."""

    def write(folder: Path, *changes: tuple[str, str], like: str = "cpu") -> Path:
        shipped = Path(snn_deploy.targets.__file__).parent / f"{like}.toml"
        text = re.sub(r"^aliases = .*$", "", shipped.read_text(), flags=re.MULTILINE)
        for before, after in ((f'name = "{like}"', 'name = "mine"'), *changes):
            assert before in text, before
            text = text.replace(before, after, 1)
        file = folder / "mine.toml"
        file.write_text(text)
        return file

    return write
