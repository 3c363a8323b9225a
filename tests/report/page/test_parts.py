"""The parts that only the page or only the PDF has, from made-up studies."""

import base64
import importlib
import json
import re
from dataclasses import replace
from datetime import date
from html import unescape

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from pipeline.confidence import scale
from pipeline.record import RunRecord
from pipeline.report import page
from pipeline.report.chapters import confusion, errors, images, learning, models, reproduce, short
from pipeline.report.look.markup import raw, typst_string
from pipeline.report.look.paragraph import Points, Words
from pipeline.report.page import frame
from pipeline.report.page.templates import text
from pipeline.report.study import Study
from tests.made_records import HOSTILE_CLASSES, KINDS
from tests.report.chapters.tools import SITUATIONS
from tests.report.conftest import StudyOf


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_can_be_made_in_every_situation(study_of: StudyOf, kind: str) -> None:
    study = study_of(kind)
    for part in (page.handout.opening, page.handout.closing, page.cover, page.notebooks, page.thresholds):
        assert isinstance(part(study).data, str)


@pytest.mark.parametrize("kind", SITUATIONS)
def test_the_explorer_can_be_made_in_every_situation(study_of: StudyOf, kind: str) -> None:
    study = study_of(kind)
    assert page.explorer(confusion.figure(study), study)._repr_markdown_()


@pytest.mark.parametrize("name", HOSTILE_CLASSES)
def test_names_cannot_leave_their_place_in_html_or_typst(name: str) -> None:
    assert not set("<>\"'{}`@") & set(text(name))
    assert unescape(text(name)) == name
    quoted = typst_string(name)
    assert "`" not in quoted
    assert "{{<" not in quoted
    assert not re.search(r'(?<!\\)(?:\\\\)*"', quoted[1:-1])


def test_raw_parts_are_for_one_format_each() -> None:
    assert raw("<p>", "#p").data == "````{=html}\n<p>\n````\n\n````{=typst}\n#p\n````\n"
    assert raw().data.strip() == ""


def test_cover_counts_runs_and_models_and_names_the_day(study_of: StudyOf) -> None:
    content = page.cover(study_of("failed_run"), date(2026, 11, 23)).data
    assert content.count("Nobody · 4 runs · 3 models · 23 November 2026") == 2
    assert content.count("Custom CNN or transfer learning?") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_verdict_has_at_most_25_words_and_no_p_value(study_of: StudyOf, kind: str) -> None:
    said = short.verdict(study_of(kind)).text
    assert len(said.split()) <= 27, said  # figures and their signs count as words
    assert " p " not in said
    assert said.replace("\u00a0", " ") in unescape(
        re.sub(r"</?strong>", "", page.handout.opening(study_of(kind)).data)
    ).replace("\u00a0", " ")


def test_caveats_are_few_and_say_what_the_records_show(study_of: StudyOf) -> None:
    for kind in KINDS:
        found = list(short.caveats(study_of(kind)))
        assert len(found) <= 4
        assert all(len(one.text.split()) <= 18 for one in found)
    rules = {one.rule for one in short.caveats(study_of("one_seed"))}
    assert "short.caveat.one-seed" in rules
    assert "short.caveat.one-seed" not in {one.rule for one in short.caveats(study_of("transfer_wins"))}


def test_first_screen_gives_four_numbers_and_every_case(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    assert [tile.what.partition(",")[0] for tile in page.handout.tiles(study)] == [
        "right on test", "for one image", "of weights", "weakest class of E",
    ]  # fmt: skip
    assert page.handout.closing(study).data.count("<dt>") == 6


def explored(study: Study) -> str:
    """Return what stands in the place of the confusion matrices on the page."""
    return str(page.explorer(confusion.figure(study), study)._page())  # type: ignore[union-attr]


def test_matrix_of_the_explorer_counts_the_predictions(study_of: StudyOf) -> None:
    study = study_of("one_model")
    split = study.models[0].chosen_test
    content = explored(study)
    rows = re.findall(r"<tr><th[^>]*>.*?</tr>", content.split("<tbody>")[1])
    shown = [
        [int(re.sub(r"<[^>]+>", "", cell) or 0) for cell in re.findall(r"<td.*?</td>", row)] for row in rows
    ]
    places = confusion.order(study)
    assert np.array_equal(shown, confusion_matrix(split.target, split.predicted)[np.ix_(places, places)])


def test_images_of_many_classes_stand_in_a_few_lists(
    study_of: StudyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of("hundred_classes")
    monkeypatch.setattr(importlib.import_module("pipeline.report.page.explorer"), "MOST_GROUPS", 10)
    content = explored(study)
    assert content.count("<details>") <= 10
    summaries = re.findall(r"<summary>class (\d\d) … class (\d\d): (\d+) images?</summary>", content)
    assert [int(first) for first, _, _ in summaries] == sorted(int(first) for first, _, _ in summaries)
    assert sum(int(count) for _, _, count in summaries) == content.count("<img ")


def test_images_behind_a_cell_are_those_with_its_label_and_answer(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    content = explored(study)
    images = re.findall(r'<li data-true="(\d+)" data-predicted="([\d,]+)">.*?<b>No\. (\d+),', content)
    assert images
    for true, predicted, index in images:
        for model, answer_ in zip(study.models, predicted.split(","), strict=True):
            row = int(np.flatnonzero(model.chosen_test.index == int(index))[0])
            assert (model.chosen_test.target[row], model.chosen_test.predicted[row]) == (
                int(true),
                int(answer_),
            )


def test_every_button_of_the_explorer_has_an_image(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    content = explored(study)
    images = re.findall(r'<li data-true="(\d+)" data-predicted="([\d,]+)">', content)
    for panel in content.split('<section data-model="')[1:]:
        number = int(panel.partition('"')[0])
        for true, predicted in re.findall(r'data-true="(\d+)" data-predicted="(\d+)" data-count', panel):
            assert any((true, predicted) == (t, p.split(",")[number]) for t, p in images)


def test_explorer_carries_no_more_than_its_share(study_of: StudyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("pipeline.report.page.explorer")
    monkeypatch.setattr(module, "MOST_BYTES", 3000)
    content = explored(study_of("one_seed"))
    pictures = re.findall(r"image/png;base64,([^\"]+)", content)
    assert 0 < sum(len(base64.b64decode(picture)) for picture in pictures) <= 3000


def test_many_classes_are_listed_as_pairs(study_of: StudyOf) -> None:
    content = explored(study_of("hundred_classes"))
    assert 'class="pairs"' in content
    assert len(content) < 1_000_000


def test_no_mistake_means_no_explorer(study_of: StudyOf) -> None:
    assert "<section" not in explored(study_of("perfect"))


def test_slider_holds_coverage_and_accuracy_of_every_percent(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    content = page.thresholds(study).data
    curves = json.loads(re.findall(r'<script type="application/json">(.*?)</script>', content)[0])
    for curve, model in zip(curves, study.models, strict=True):
        confidence = scale(model.chosen_test, model.calibration.temperature).probability.max(axis=1)
        for step in (0, 37, 90):
            kept = confidence >= step / 100
            assert curve["coverage"][step] == pytest.approx(kept.mean(), abs=1e-4)
            assert curve["accuracy"][step] == pytest.approx(model.chosen_test.correct[kept].mean(), abs=1e-4)


def test_notebooks_travel_inside_the_page(study_of: StudyOf) -> None:
    study = study_of("failed_run")
    links = re.findall(r'download="([^"]+)" href="data:[^,]+,([^"]+)"', page.notebooks(study).data)
    names = {record.run_id: record.folder for record in [*study.records, *study.failures]}
    assert {name.removesuffix(".ipynb") for name, _ in links} == set(names)
    for name, content in links:
        original = json.loads((names[name.removesuffix(".ipynb")] / "train.ipynb").read_text())
        assert json.loads(base64.b64decode(content)) == original


def test_notebooks_beyond_the_limit_are_counted(study_of: StudyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "MOST_BYTES", 1500)
    content = page.notebooks(study_of("one_seed")).data
    carried = content.count("<li>")
    assert 0 < carried < 5
    assert f"{5 - carried} more notebook" in content


def test_a_paragraph_cites_each_reference_once_and_not_what_was_told(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    sentences = list(learning.words(study))
    assert str(Words(study, sentences)._repr_markdown_()).count("(#fig-curves)") == 1
    assert "(#fig-curves)" not in Words(study, sentences, told=["fig-curves"])._repr_markdown_()


def test_nothing_to_say_is_not_an_empty_text(study_of: StudyOf) -> None:
    """Quarto prints the code of inline expressions whose result is empty."""
    study = study_of("all_failed")
    nothing = [errors.words(study), images.augmentation_words(study), Points(study, [])]
    assert {words._repr_markdown_() for words in nothing} == {"<!-- -->"}


@pytest.mark.parametrize(
    ("device", "promise"),
    [
        ("cpu", "this file gives the same answers, and times that vary."),
        (
            "NVIDIA H100",
            "this file gives nearly the same answers, since a GPU adds in no fixed order, and times",
        ),
    ],
)
def test_reproduction_says_what_cannot_be_promised(study_of: StudyOf, device: str, promise: str) -> None:
    study = study_of("one_seed")
    records = [with_device(record, device) for record in study.records]
    words = reproduce.instructions(Study.from_records(study.experiment, records)).data.replace("\\", "")
    assert promise in words
    assert "Other hardware, versions, numbers of threads or precision (bf16 in place of fp32) round" in words


def with_device(record: RunRecord, device: str) -> RunRecord:
    assert record.details.environment is not None
    environment = record.details.environment.model_copy(update={"device": device})
    return replace(record, details=record.details.model_copy(update={"environment": environment}))


def test_reproduction_names_command_versions_and_code(study_of: StudyOf) -> None:
    words = reproduce.instructions(study_of("one_seed")).data
    assert "``headstart report params/one_seed.yaml``" in words
    assert "torch 2\\.15\\.0" in words or "torch 2.15.0" in words
    assert "0123456789ab" in words


def test_models_are_introduced_with_the_ways_that_ran(study_of: StudyOf) -> None:
    assert "fine-tuned" not in models.introduction(study_of("one_model")).data.replace("\\", "")
    words = models.introduction(study_of("one_seed")).data.replace("\\", "")
    assert all(way in words for way in ("from scratch", "linear probe", "fine-tuned"))
