"""What docs/data.md says is read is held by tests that are there."""

import re
from pathlib import Path

ROW = re.compile(r"\| `(\w+\.py)::(\w+)` \|$", re.MULTILINE)


def test_each_row_of_what_is_read_names_a_test_that_is_there(root: Path) -> None:
    text = (root / "docs" / "data.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    table = text[text.index("## What it reads") :]
    assert len(rows) == table.count("\n| ") - 1 > 20
    sources = {path.name: path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")}
    assert [name for file, name in rows if f"def {name}(" not in sources[file]] == []
