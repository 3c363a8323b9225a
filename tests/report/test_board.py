"""Many reports on one page: ranked where the test images are the same, and nowhere else."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli
from pipeline.report.board import board, page, positions, study_names
from pipeline.report.evidence.tests import compare
from pipeline.report.results_json import write
from pipeline.report.study import Study
from tests.made_records import Made, MadeData, write_experiment

DATA = MadeData(train=100, val=100, test=500, near_duplicates=0)
WEAK, STRONG = Made(accuracy=0.7), Made("resnet18", "fine_tune", 0.9)


def written(folder: Path, name: str, *models: Made, data: MadeData = DATA) -> Path:
    """Write the results.json of made-up runs into a report's folder."""
    study = Study.from_records(*write_experiment(folder / "made" / name, name, data, models))
    write(folder / name / "results.json", study, "embedded")
    return folder / name / "results.json"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two studies on the same images, one model of which is the same run, and one on other images."""
    folder = tmp_path_factory.mktemp("three")
    longer = replace(WEAK, accuracy=0.71, settings={"epochs": 20})
    return [
        written(folder, "anna", WEAK, STRONG),
        written(folder, "ben", longer, STRONG),
        written(folder, "cleo", WEAK, data=replace(DATA, test=400)),
    ]


class _Cells(HTMLParser):
    """The text of each cell, table by table and row by row; unclosed elements are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.strip()


def cells(text: str) -> list[list[list[str]]]:
    reader = _Cells()
    reader.feed(text)
    assert reader.open == []
    return reader.tables


def test_studies_on_other_images_are_not_ranked_together(three: list[Path]) -> None:
    found = board(three)
    assert [len(group.entries) for group in found.groups] == [4, 1]
    assert {entry.study for entry in found.groups[1].entries} == {"cleo"}
    assert "never ranked together" in page(found)
    assert len(cells(page(found))) == 2


def test_rows_stand_by_accuracy_and_say_who_cannot_be_told_from_whom(three: list[Path]) -> None:
    group = board(three).groups[0]
    accuracies = [entry.model.accuracy.value for entry in group.entries]
    assert accuracies == sorted(accuracies, reverse=True)
    rows = cells(page(board(three)))[0][1:]
    names = [(row[1], row[2]) for row in rows]
    assert names[2:] == [("ben", "custom CNN"), ("anna", "custom CNN")]
    assert [row[6] for row in rows] == ["same runs as 2", "same runs as 1", "4", "3"]


def test_each_two_runs_are_tested_once_as_one_family(three: list[Path]) -> None:
    group = board(three).groups[0]
    correct = {str(k): entry.correct for k, entry in enumerate(group.entries) if k != 1}
    expected = {(int(test.first), int(test.second)): test for test in compare(correct)}
    assert {pair: test for pair, test in group.tests.items() if 1 not in pair} == expected
    assert (0, 1) not in group.tests
    assert group.tests[1, 2].p_holm == group.tests[0, 2].p_holm


def test_settings_that_differ_stand_beside_each_model(three: list[Path]) -> None:
    rows = cells(page(board(three)))[0][1:]
    said = {(row[1], row[2]): row[7] for row in rows}
    assert said["ben", "custom CNN"] == "epochs 20"
    assert said["anna", "custom CNN"] == "epochs 10"


def test_what_each_study_would_choose_is_bold(three: list[Path]) -> None:
    assert len(re.findall("<strong>", page(board(three)))) == 3


def test_a_study_without_a_whole_run_is_named(tmp_path: Path) -> None:
    failed = written(tmp_path, "bad", replace(WEAK, failed_seeds=(0,)))
    found = board([failed, written(tmp_path, "good", WEAK)])
    assert found.without == ["bad"]
    assert "Without a whole run: bad." in page(found)


def test_names_and_settings_cannot_become_markup(tmp_path: Path) -> None:
    hostile = written(tmp_path, "<b>x<", replace(WEAK, settings={"epochs": 3}), replace(WEAK, model="vgg16"))
    content = json.loads(hostile.read_text(encoding="utf-8"))
    content["title"] = content["dataset"]["name"] = '"><script>alert(1)</script>'
    content["models"][0]["label"] = "<img src=x onerror=alert(1)>"
    hostile.write_text(json.dumps(content), encoding="utf-8")
    text = page(board([hostile]))
    assert "<script>" not in text
    assert "<img" not in text
    assert cells(text)[0][1][1] == "<b>x<"


def test_a_place_where_many_are_alike_is_said_in_ranges() -> None:
    assert positions([1, 2, 3, 6]) == "2–4, 7"
    assert positions([0, 1]) == "1, 2"
    assert positions([]) == ""


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["a/reports/demo/results.json", "b/reports/demo/results.json"], ["a", "b"]),
        (["reports/x/results.json", "reports/y/results.json"], ["x", "y"]),
        (["x.json", "y.json"], ["x", "y"]),
        (["reports/x/results.json"], ["x"]),
        (["x/results.json", "x/y/results.json"], ["x", "x/y"]),
    ],
)
def test_studies_are_named_by_what_of_their_paths_differs(places: list[str], names: list[str]) -> None:
    assert study_names([Path(place) for place in places]) == names


def test_command_writes_one_page_of_many_files(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "all.html"
    given = [str(three[0]), str(three[1].parent), str(three[2]), str(three[0])]  # one folder, one twice
    assert cli.main(["board", *given, "-o", str(output)]) == 0
    assert "5 models of 3 studies." in capsys.readouterr().out
    assert len(cells(output.read_text(encoding="utf-8"))) == 2


def test_what_cannot_be_used_is_refused_in_one_line_and_nothing_is_written(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"schema_version": 99}', encoding="utf-8")
    output = tmp_path / "board.html"
    for arguments, message in (
        ([str(three[0]), str(other)], "schema_version is 99, this Headstart reads"),
        ([str(tmp_path / "nothing.json")], "no such file"),
        ([str(three[0]), "-o", str(tmp_path / "x.txt")], "must end in .html"),
        ([str(three[0]), "-o", str(tmp_path / "no" / "x.html")], "no such folder"),
    ):
        given = arguments if "-o" in arguments else [*arguments, "-o", str(output)]
        assert cli.main(["board", *given]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json"]


def test_full_disk_leaves_the_old_page(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    output = tmp_path / "board.html"
    output.write_text("old", encoding="utf-8")
    monkeypatch.setattr("pipeline.files.os.fsync", full)
    assert cli.main(["board", str(three[0]), "-o", str(output)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert output.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_many_models_are_no_long_wait() -> None:
    rng = np.random.default_rng(0)
    correct = {str(k): rng.random((1, 2000)) < 0.8 for k in range(60)}
    assert len(compare(correct)) == 60 * 59 / 2
