import re
from pathlib import Path

import numpy as np

from pipeline.report.chapters import (
    errors,
)
from pipeline.report.study import Study
from pipeline.report.words.numbers import percent
from tests.made_records import Made, MadeData, write_experiment
from tests.report.chapters.tools import (
    grid,
    predictions,
    said,
)
from tests.report.conftest import StudyOf


def test_models_that_miss_the_same_images_may_agree_on_the_answer(study_of: StudyOf) -> None:
    assert "agree" not in said(study_of("two_classes"), "errors.all-miss")  # there is but one wrong answer
    assert "in 12 of them both agree on the wrong answer" in said(study_of("tie"), "errors.all-miss")
    assert said(study_of("tie"), "errors.alike") == (
        "The two give the same answer to 80.0 % of the test images; at least one is right on 93.5 %, which "
        "no vote among them could exceed."
    )


def test_nothing_is_promised_of_models_without_errors(study_of: StudyOf) -> None:
    study = study_of("perfect")
    assert said(study, "errors.alike").endswith("; on every image at least one is right.")
    assert "gets 100.0 % of those right, as of all; " in said(study, "calibration.coverage")


def test_agreement_is_counted_from_the_predictions(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    header, *rows = grid(errors.agreement(study))
    answers = [predictions(model.chosen) for model in study.models]
    for i, (truth, mine) in enumerate(answers):
        for j, (_, theirs) in enumerate(answers):
            both_wrong = ((mine != truth) & (theirs != truth)).sum()
            expected = percent((mine == theirs).mean()) if j > i else f"{both_wrong:,}"
            assert rows[i][2 + j] == expected
    assert header[2:] == [row[0] for row in rows]


def test_images_that_all_miss_bear_every_answer_and_its_confidence(study_of: StudyOf) -> None:
    study = study_of("failed_run")
    rows = grid(errors.all_miss_answers(study))[1:]
    first, second = (model.chosen_test for model in study.models)
    assert rows
    for index, label, answers in rows:
        place = int(index)
        assert label == study.classes[first.target[place]]
        for mark, split in zip("AB", (first, second), strict=True):
            answer, sure = split.predicted[place], percent(float(split.probability[place].max()), 0)
            assert answer != first.target[place]
            assert re.search(rf"{study.classes[answer]} \([^)]*{mark}\u00a0{sure}", answers)


def test_cards_name_label_answer_and_confidence(study_of: StudyOf) -> None:
    study = study_of("one_model")
    split = study.models[0].chosen_test
    wrong = np.flatnonzero(~split.correct)
    confidence = split.probability.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")[0]]
    page = errors.sheet(study).content.page
    card = next(one for one in page.split("<li>") if f"No. {split.index[worst]}," in one)
    assert study.classes[split.target[worst]] in card
    answer, sure = study.classes[split.predicted[worst]], percent(float(confidence[worst]), 0)
    assert f'<span class="bad">A: {answer}, {sure}' in card


def test_no_image_stands_in_two_cards(study_of: StudyOf) -> None:
    found = [one.index for one in errors.known(study_of("one_seed"))]
    assert len(found) == len(set(found)) == errors.MOST_CARDS
    assert {one.index for one in study_of("one_seed").missed_by_all[:1]} <= set(found)


def test_an_image_that_no_run_kept_is_said_to_be_missing(study_of: StudyOf) -> None:
    assert "not kept" in errors.sheet(study_of("hundred_classes")).content.page


def test_no_sheet_of_errors_where_the_one_model_that_learned_makes_none(tmp_path: Path) -> None:
    data = MadeData(train=40, val=20, test=24, near_duplicates=0, label_errors=0)
    models = (Made("resnet18", "scratch", 0.1), Made("resnet18", "fine_tune", 1.0))
    study = Study.from_records(*write_experiment(tmp_path, "made", data, models))
    assert errors.known(study) == []
    assert "tbl-errors" not in str(errors.sheet(study)._repr_markdown_())
