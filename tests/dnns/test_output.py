"""Files that the command lines write."""

import os
import stat

import pytest

from dnns.errors import InputError
from dnns.terminal.output import check_writable, write_file


def test_a_file_takes_the_place_of_an_old_one(tmp_path):
    file = tmp_path / "out.json"
    for text in ("a long old text", "new"):
        write_file(file, lambda stream, text=text: stream.write(text))
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_one(tmp_path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    write_file(link, lambda stream: stream.write("new"))
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_an_old_file_survives_what_breaks_off(tmp_path):
    file = tmp_path / "out.json"
    file.write_text("old")

    def half(stream):
        stream.write("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"out\.json: cannot be written: No space left on device"):
        write_file(file, half)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_pipe_is_written_to_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, lambda stream: stream.write("text"))
    assert os.read(end, 100) == b"text"
    os.close(end)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_cannot_be_written_is_told_before_the_work(tmp_path):
    check_writable(None, tmp_path / "new", "/dev/null")
    for path in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(InputError, match="cannot be written"):
            check_writable(path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="cannot be written"):
        check_writable(file / "below")
