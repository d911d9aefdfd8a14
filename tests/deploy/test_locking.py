"""A journal belongs to one process at a time."""

import os
import sys

import pytest

from snn_deploy.deploy.locking import content_of, locked
from snn_deploy.errors import CannotWriteError, OptionError

BUSY = OptionError("another writes it", where="j", fix="--output OTHER")


def unwritable(problem):
    return CannotWriteError(f"not written: {problem.strerror}", where="j", fix="--output OTHER")


def test_a_file_is_made_read_and_written_by_one_alone(tmp_path):
    file = tmp_path / "j"
    with locked(file, BUSY, unwritable) as descriptor:
        os.write(descriptor, b"kept\n")
        with pytest.raises(OptionError) as caught, locked(file, BUSY, unwritable):
            pass
        assert caught.value is BUSY
    with locked(file, BUSY, unwritable) as descriptor:
        assert content_of(descriptor) == b"kept\n"


def test_a_file_that_cannot_be_made_is_told(tmp_path):
    with pytest.raises(CannotWriteError) as caught, locked(tmp_path / "no/j", BUSY, unwritable):
        pass
    assert caught.value.message == "not written: No such file or directory"


def test_a_system_without_file_locks_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(OptionError) as caught, locked(tmp_path / "j", BUSY, unwritable):
        pass
    assert str(caught.value) == (
        "error[SNN102]: a journal needs POSIX file locks, which this system lacks\n"
        f"  at: {tmp_path / 'j'}\n"
        "  fix: run it on Linux or macOS"
    )
    assert not (tmp_path / "j").exists()
