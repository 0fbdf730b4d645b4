"""What is written and shown when the output is full, closed, narrow or knows no é; and what is told early."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dnns.terminal.output
from dnns.terminal.tables import fitted
from solvers.run import main

ROOT = Path(__file__).parents[3]
NAMES = """\
name: é漢
input: [3, 12, 10]
layers:
  - {name: é漢, op: conv, out_channels: 8, kernel: 3, padding: 1}
  - {name: abc, op: conv, out_channels: 8, kernel: 3, padding: 1}
"""


@pytest.fixture
def named(tmp_path):
    """A scenario whose layers have awkward names."""
    (tmp_path / "net.yaml").write_text(NAMES, encoding="utf-8")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("network: net.yaml\n")
    return scenario


def shell(line, scenario, **environment):
    """Exit code, output and error of a shell's line; ``RUN`` in it is the command with an --outfile."""
    out = scenario.parent / "out.json"
    out.unlink(missing_ok=True)
    command = f"{sys.executable} -m solvers.run {scenario} --outfile {out}"
    settings = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | environment
    done = subprocess.run(
        ["bash", "-c", line.replace("RUN", command)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=settings,
        timeout=60,
    )
    assert json.loads(out.read_text())["complete"] is True
    return done.returncode, done.stdout, done.stderr


def test_a_full_output_costs_only_the_table(named):
    error = "standard output: cannot be written: No space left on device\n"
    assert shell("RUN > /dev/full", named) == (2, "", error)


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_output_is_no_fault(named, closed):
    assert shell(f"RUN --csv {named.parent / 'out.csv'} {closed}", named) == (0, "", "")
    with open(named.parent / "out.csv", encoding="utf-8") as stream:
        assert [row["layer"] for row in csv.DictReader(stream)] == ["é漢", "abc"]


def test_bad_input_with_a_closed_error_output_goes_nowhere_else(named):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m solvers.run {named} --jobs 0 2>&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_a_reader_that_leaves_is_no_fault(named):
    code, out, err = shell("RUN | head -1; exit ${PIPESTATUS[0]}", named)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    code, _, err = shell("RUN | true; exit ${PIPESTATUS[0]}", named)
    assert (code, err) == (0, "")
    line = f"{sys.executable} -m solvers.run --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_ascii_terminal_shows_what_it_can_aligned(named):
    code, out, err = shell("RUN", named, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert out.isascii()
    rows = [line for line in out.splitlines() if re.match(r"\|(\?{3}|abc) ", line)]
    assert len(rows) == 2
    assert len({len(row.rstrip()) for row in rows}) == 1
    code, out, _ = shell("RUN", named, PYTHONIOENCODING="utf-8")
    assert code == 0
    assert "é漢" in out


def terminal(scenario, columns, *options):
    """What a terminal of that width is sent, without the commands for colours."""
    ours, theirs = pty.openpty()
    read = bytearray()

    def drain():
        try:
            while part := os.read(ours, 65536):
                read.extend(part)
        except OSError:  # the last one has closed it
            return

    reader = threading.Thread(target=drain)
    reader.start()
    settings = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "solvers.run", str(scenario), *options]
    code = subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, env=settings, check=False)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert code.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", read.decode().replace("\r", ""))


SECONDS = re.compile(r"[\d.]+ s$", re.MULTILINE)


def numbers(text):
    return re.findall(r"\d[\d,.]*\d|\d", text)


WIDE = ("MACs", "tile", "stays", "I / O / W", "latency", "traffic", "array", "buffer", "gap")
#: Columns in the order in which a narrow terminal does without them.
ORDER = ["MACs", "buffer", "array", "I / O / W", "stays", "tile", "gap"]


WIDTHS = [("terminal", 20), ("terminal", 40), ("terminal", 60), ("terminal", 100), ("pipe", 30), ("pipe", 80)]


@pytest.mark.parametrize(("where", "columns"), WIDTHS)
def test_the_table_fits_and_no_digit_is_cut(tiny, columns, where):
    if where == "terminal":
        text = terminal(tiny, columns)
    else:
        _, text, _ = shell("RUN", tiny, COLUMNS=str(columns))
    whole = shell("RUN", tiny)[1]
    lines = [line.rstrip() for line in text.splitlines()]
    if columns >= 40:
        assert max(map(len, lines)) <= columns
    head = next(i for i, line in enumerate(lines) if re.match(r" .*latency", line))
    shown = [title for title in WIDE if title in lines[head] + lines[head + 1]]
    left_out = [title for title in WIDE if title not in shown]
    assert left_out == sorted(ORDER[: len(left_out)], key=WIDE.index)
    known = set(numbers(re.sub(SECONDS, "", whole)))
    assert set(numbers(re.sub(SECONDS, "", "\n".join(lines[head + 1 :])))) <= known


def test_long_names_are_shortened_before_columns_are_left_out(tmp_path):
    name = "encoder/blocks/7/attention/query/" * 2 + "projection"
    layer = f"{{name: {name}, op: conv, out_channels: 8, kernel: 3}}"
    (tmp_path / "net.yaml").write_text(f"name: net\ninput: [3, 12, 10]\nlayers: [{layer}]\n")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("network: net.yaml\n")
    assert name in shell("RUN", scenario)[1]
    text = terminal(scenario, 125)
    assert name not in text
    row = next(line for line in text.splitlines() if line.startswith(" encoder"))
    assert re.match(r" encoder[\w/]*\.\.[\w/]*projection ", row)
    assert len(row.split()) == 14  # and so no column is missing


def test_compare_and_show_fit_too(tiny):
    for module, options in (("solvers.compare", ["--methods", "static,exhaustive"]), ("dnns.show", [])):
        file = tiny if module == "solvers.compare" else tiny.parent / "tiny.yaml"
        settings = os.environ | {"COLUMNS": "60"}
        command = [sys.executable, "-m", module, str(file), *options]
        done = subprocess.run(command, capture_output=True, text=True, env=settings, check=True)
        tables = [line.rstrip() for line in done.stdout.splitlines() if line.startswith(" ")]
        assert max(map(len, tables)) <= 60


def test_names_command_neither_rich_nor_the_terminal():
    from rich.console import Console

    console = Console(width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.capture() as capture:
        console.print(fitted([("name", "left")], [("a[/b]",), ("[red]x",), ("\x1b[2J",)], (), console))
    assert all(text in capture.get() for text in ("a[/b]", "[red]x", "?[2J"))
    console.file.close()


def test_what_cannot_fit_is_wider_but_whole():
    from rich.console import Console

    from dnns.terminal.tables import put

    console = Console(width=10, file=open(os.devnull, "w"))  # noqa: SIM115
    table = fitted([("name", "left"), ("number", "right")], [("layer", "123,456,789,012")], (), console)
    with console.capture() as capture:
        put(console, table)
    assert "123,456,789,012" in capture.get()
    console.file.close()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--outfile", "FOLDER/out", "--csv", "FOLDER/out"], "is also the file of --outfile"),
        (["--outfile", "FOLDER/out", "--csv", "FOLDER/../FOLDER_NAME/out"], "is also the file of --outfile"),
        (["--outfile", "FOLDER/scenario.yaml"], "is an input of this run"),
        (["--csv", "FOLDER/net.yaml"], "is an input of this run"),
        (["--csv", "FOLDER/link"], "is an input of this run"),
        (["--outfile", "-", "--csv", "-"], "is also the file of --outfile"),
        (["--outfile", "FOLDER/loop"], "symbolic links"),
        (["--outfile", "FOLDER/loop/below"], "cannot be written"),
        (["--outfile", "FOLDER/" + 256 * "x"], "File name too long"),
        (["--outfile", "FOLDER"], "Is a directory"),
        (["--outfile", "FOLDER/none/out"], "No such file or directory"),
        (["--outfile", "FOLDER/net.yaml/out"], "Not a directory|No such file"),
    ],
)
def test_outputs_that_cannot_be_are_told_before_the_work(named, options, problem, monkeypatch, capsys):
    import solvers.network.schedule

    (named.parent / "loop").symlink_to(named.parent / "loop")
    (named.parent / "link").symlink_to(named)
    monkeypatch.setattr(solvers.network.schedule, "run_scenario", None)
    before = {path: path.read_bytes() for path in named.parent.glob("*.yaml")}
    names = {"FOLDER_NAME": named.parent.name, "FOLDER": str(named.parent)}
    for key, value in names.items():
        options = [option.replace(key, value) for option in options]
    assert main([str(named), *options]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert re.search(problem, err)
    assert before == {path: path.read_bytes() for path in named.parent.glob("*.yaml")}


def test_long_names_and_devices_are_written_to(named):
    long = named.parent / (245 * "x")
    assert main([str(named), "--quiet", "--outfile", str(long), "--csv", "/dev/null"]) == 0
    assert json.loads(long.read_text())["complete"] is True
    assert main([str(named), "--quiet", "--outfile", "/dev/null", "--csv", "/dev/null"]) == 0


def test_one_file_that_fails_costs_no_other(named, capsys):
    code = main([str(named), "--outfile", "/dev/full", "--csv", str(named.parent / "out.csv")])
    out, err = capsys.readouterr()
    assert code == 2
    assert err == "/dev/full: cannot be written: No space left on device\n"
    assert "roofline" in out
    assert (named.parent / "out.csv").read_text(encoding="utf-8").startswith("layer,")


def test_a_pipe_that_nobody_reads_is_told(named, monkeypatch, capsys):
    monkeypatch.setattr(dnns.terminal.output, "PIPE_SECONDS", 0.1)
    pipe = named.parent / "pipe"
    os.mkfifo(pipe)
    assert main([str(named), "--quiet", "--outfile", str(pipe)]) == 2
    assert "a pipe that nobody reads" in capsys.readouterr().err


def test_standard_output_can_be_the_file(named):
    command = [sys.executable, "-m", "solvers.run", str(named), "--outfile", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["complete"] is True
    assert done.stderr == ""


def test_interrupted_before_the_work_is_one_line_too(named):
    process = subprocess.Popen(
        [sys.executable, "-m", "solvers.run", "/dev/stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    threading.Timer(1.5, process.send_signal, [signal.SIGINT]).start()
    stdin, process.stdin = process.stdin, None
    out, err = process.communicate(timeout=30)
    stdin.close()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
