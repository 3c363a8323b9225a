"""Whatever stands in a free text, the page shows it and does nothing with it."""

import re
from pathlib import Path

import pytest

from pipeline.report.render import render
from pipeline.report.words.english import flat
from tests.report.fuzzed import fuzzed_experiment
from tests.report.made_report import copy_project
from tests.report.page.test_page import Tags, words
from tests.report.paper import words_of

ACTIVE = {"iframe", "object", "embed", "base", "form", "link", "audio", "video", "frame"}


def rendered(folder: Path, seed: int) -> tuple[str, Path]:
    """Render the report of a fuzzed experiment; return its page, and where its PDF is."""
    qmd = copy_project(folder, f"fuzzed_experiment(folder, {seed})")
    files = render(qmd, folder / "params.yaml", folder / "reports" / "x", engine="embedded").files
    return files["html"].read_text(encoding="utf-8"), files["pdf"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Tags:
    """The page of an experiment whose texts are harmless."""
    folder = tmp_path_factory.mktemp("plain")
    qmd = copy_project(folder, "made_experiment(folder, 'one_model')")
    files = render(qmd, folder / "params.yaml", folder / "x", ("html",), engine="embedded").files
    return Tags(files["html"].read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_random_texts_add_nothing_to_the_page_but_themselves(tmp_path: Path, plain: Tags, seed: int) -> None:
    page, pdf = rendered(tmp_path, seed)
    tags = Tags(page).found
    experiment, records = fuzzed_experiment(tmp_path / "again", seed)

    scripts = [attributes for tag, attributes in plain.found if tag == "script"]
    assert [attributes for tag, attributes in tags if tag == "script"] == scripts
    assert not [tag for tag, _ in tags if tag in ACTIVE]
    assert not [a for _, attributes in tags for a in attributes if a.startswith("on")]
    sources = [attributes["src"] or "" for _, attributes in tags if "src" in attributes]
    assert all(source.startswith("data:") for source in sources)
    shown = squeezed(words(page))
    for name in (*records[0].classes, experiment.title, experiment.description, experiment.author):
        assert squeezed(name) in shown, repr(name)
    assert len(words_of(pdf)) > 1000


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", flat(text))
