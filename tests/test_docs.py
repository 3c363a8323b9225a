"""What the pages in docs/ promise is there: tests, and commands that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pipeline import cli

ROW = re.compile(r"\| `(\w+\.py)::(\w+)` \|$", re.MULTILINE)


def test_each_row_of_what_is_read_names_a_test_that_is_there(root: Path) -> None:
    text = (root / "docs" / "data.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    table = text[text.index("## What it reads") :]
    assert len(rows) == table.count("\n| ") - 1 > 20
    sources = {path.name: path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")}
    assert [name for file, name in rows if f"def {name}(" not in sources[file]] == []


def _commands(text: str) -> list[list[str]]:
    """Return the arguments of each call of headstart in a text."""
    calls = re.findall(r"^\s*(?:- |- run: )?headstart (.+?)(?: \|\| .*)?$", text, re.MULTILINE)
    return [shlex.split(re.sub(r"\d?> ?\S+", "", call), comments=True) for call in calls]


@pytest.mark.parametrize("page", ["ci", "predict"])
def test_commands_of_a_page_are_ones_that_the_command_line_takes(root: Path, page: str) -> None:
    blocks = re.findall(
        r"^```(?:bash|yaml)\n(.*?)^```", (root / "docs" / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL
    )
    commands = [command for block in blocks for command in _commands(block)]
    assert len(commands) > 3
    for command in commands:
        cli._parser().parse_args(command)


def test_pipelines_of_the_page_on_ci_are_yaml_and_end_with_the_code_of_the_diff(root: Path) -> None:
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (root / "docs" / "ci.md").read_text(), re.MULTILINE | re.DOTALL
    )
    github, gitlab = map(yaml.safe_load, blocks)
    assert github["jobs"]["report"]["steps"][-1]["run"] == "exit ${{ steps.diff.outputs.code }}"
    assert gitlab["report"]["script"][-1] == "exit $code"
