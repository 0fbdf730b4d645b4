"""The README tells the truth: its commands run, its output is real, its links lead somewhere."""

import re

import yaml

from tests.readme import OUTPUT, README, ROOT, output

TEXT = README.read_text()


def without_times(text):
    return re.sub(r"solved in +[\d.]+ s", "solved in", text)


def test_the_output_is_what_the_command_prints():
    shown = OUTPUT.findall(TEXT)
    assert [command for command, _ in shown] == ["solvers.run scenarios/unet.yaml"]
    for command, text in shown:
        assert without_times(output(command)) == without_times(text)


def test_links_and_modules_exist():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / link).exists(), link
    for module in re.findall(r"python -m (solvers\.\w+|dnns\.\w+|tests\.\w+)", TEXT):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module


def test_the_scenario_shown_is_valid():
    from solvers.scenario import Scenario

    block = re.search(r"## A scenario\n\n```yaml\n(.*?)```", TEXT, re.DOTALL)[1]
    fields = yaml.safe_load(block)
    assert set(fields) <= set(Scenario.model_fields)
    Scenario.model_validate(fields)


def test_the_python_example_runs():
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)[1]
    code = code.replace("scenarios/unet.yaml", str(ROOT / "scenarios" / "dcgan.yaml"))
    exec(compile(code, "README.md", "exec"), {})
