"""``--plots``: files that say what they should, every time the same; what is refused, before the work."""

import sys

import pytest

from solvers.compare import main as compare
from solvers.run import main as run
from solvers.size import main as size
from tests.plots.texts import texts


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def check(written, stems):
    """Every picture is there in both kinds, and is one."""
    assert set(written) == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    for name, data in written.items():
        assert len(data) > 4000
        if name.endswith("png"):
            assert data.startswith(b"\x89PNG\r\n")
        else:
            assert texts(data)


def test_a_run_draws_its_pictures_the_same_every_time(tiny, capsys):
    one, other = tiny.parent / "new" / "one", tiny.parent / "other"
    assert run([str(tiny), "--plots", str(one)]) == 0
    out, err = capsys.readouterr()
    assert "traffic" in out
    assert not err
    written = files(one)
    check(written, ("roofline", "parts", "layers"))
    other.mkdir()
    (other / "layers.png").write_text("what was there is replaced")
    assert run([str(tiny), "--plots", str(other), "--quiet"]) == 0
    assert files(other) == written
    for name, units in (("roofline", "MACs per cycle]"), ("parts", "[KiB]"), ("layers", "latency [kcycles]")):
        shown = texts(written[f"{name}.svg"])
        assert any(units in text for text in shown)
        assert {"a", "head"} <= set(shown)
    assert {"a", "up", "gaps", "head"} <= set(texts(written["layers.svg"]))


def test_a_comparison_draws_each_scenario_into_its_folder(tiny, capsys):
    folder = tiny.parent / "pictures"
    options = ["--methods", "static,exhaustive", "--quiet", "--plots", str(folder)]
    assert compare([str(tiny), str(tiny), *options]) == 0
    stems = [f"{home}/{stem}" for home in ("scenario", "scenario-2") for stem in ("methods", "gaps")]
    written = files(folder)
    check(written, stems)
    assert written["scenario/methods.svg"] == written["scenario-2/methods.svg"]
    shown = texts(written["scenario/methods.svg"])
    assert {"a", "up/0.0", "head", "static", "exhaustive", "DRAM traffic of one occurrence [kB]"} <= set(
        shown
    )


def test_sizes_are_drawn(tiny):
    folder = tiny.parent / "pictures"
    options = ["--sram", "2K:4K", "--step", "1K", "--quiet", "--plots", str(folder)]
    assert size([str(tiny), *options]) == 0
    check(files(folder), ("sizing",))


@pytest.mark.parametrize("command", [run, compare, size])
def test_without_matplotlib_one_line_says_what_to_install(command, tiny, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command([str(tiny), "--plots", str(tiny.parent / "p")]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err == "--plots: needs matplotlib: pip install 'dnn-dataflow-optimizer[plot]'\n"
    assert not (tiny.parent / "p").exists()


def test_a_folder_that_cannot_be_is_told_before_the_work(tiny, capsys):
    (tiny.parent / "file").write_text("")
    cases = {
        str(tiny.parent / "file"): "file: cannot be written: file is no folder",
        str(tiny.parent / "file" / "below"): "below: cannot be written: file is no folder",
        "": "--plots: got '', allowed: a folder",
        "-": "--plots: got '-', allowed: a folder",
        "a\0b": "cannot be made: ",
        "n" * 400: "cannot be made: File name too long",
    }
    for folder, message in cases.items():
        assert run([str(tiny), "--plots", folder]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert message in err
        assert err.count("\n") == 1


def test_what_cannot_be_written_keeps_nothing_else(tiny, capsys):
    folder = tiny.parent / "pictures"
    (folder / "parts.svg").mkdir(parents=True)
    assert run([str(tiny), "--plots", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert "traffic" in out
    assert err == f"{folder / 'parts.svg'}: cannot be written: Is a directory\n"
    assert len(files(folder)) == 5


def test_pictures_show_what_fits_and_say_what_does_not(tiny, capsys):
    folder = tiny.parent / "pictures"
    assert run([str(tiny), "--bufsize", "60", "--plots", str(folder)]) == 3
    capsys.readouterr()
    assert any("no mapping: 1 of 4" in text for text in texts((folder / "roofline.svg").read_bytes()))
