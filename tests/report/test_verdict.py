"""The sentences say what the runs support, whoever wins, and no more."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypandoc
import pytest

from pipeline.record import SplitPredictions
from pipeline.report.results_json import plain
from pipeline.report.study import Study
from pipeline.report.verdict import answer, available, paragraph, recommendations, verdict
from pipeline.report.words.english import NBSP, unbroken
from pipeline.report.words.phrases import each_or_span
from pipeline.report.words.sentence import Sentence
from tests.made_records import KINDS, Made, MadeData, write_experiment
from tests.report.conftest import StudyOf

DATA = MadeData(train=400, val=200, test=400, near_duplicates=0, label_errors=0)
COMPARATIVES = r"\b(more|less|better|worse) than\b|\b(gives up|adds|is worth|beats?|ahead of)\b"


def every_sentence(study: Study) -> list[Sentence]:
    sections = [sentence for section in verdict(study).values() for sentence in section]
    return [*answer(study), *sections, *(found.sentence for found in recommendations(study))]


def said(study: Study, rule: str) -> str:
    """Return the one sentence of a rule, with plain spaces."""
    found = [s.text for s in every_sentence(study) if s.rule == rule]
    assert len(found) == 1, [s.rule for s in every_sentence(study)]
    return found[0].replace(NBSP, " ")


def rules(study: Study) -> set[str]:
    return {sentence.rule for sentence in every_sentence(study)}


def study_with(folder: Path, *models: Made, data: MadeData = DATA) -> Study:
    return Study.from_records(*write_experiment(folder, "made", data, models))


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_has_three_sentences_for_every_kind_of_study(kind: str, study_of: StudyOf) -> None:
    assert len(answer(study_of(kind))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_are_whole_and_well_formed(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    for sentence in every_sentence(study):
        text = sentence.text.replace(NBSP, " ")
        assert text.endswith("."), text
        assert not re.search(r"  | ,| \.|\.\.|,,|;;|None|nan|inf\b|\{|\}", _without_names(text, study)), text
        assert text[0].isupper() or text[0].isdigit() or text.startswith(tuple(_names(study))), text
        assert not re.search(r"\b1 (images|seeds|models|parameters|files|classes|errors)\b", text), text
        assert not re.search(r"\b(one|two|three|\d+) (seed|model|image)\b(?<!one seed)(?<!one image)"
                             r"(?<!one model)(?<!1 image)", text), text  # fmt: skip


def _names(study: Study) -> list[str]:
    return [group.name for group in study.models]


def _without_names(text: str, study: Study) -> str:
    for name in sorted((*study.classes, *_names(study)), key=len, reverse=True):
        text = text.replace(f"“{name}”", "“x”").replace(name, "x" if len(name) > 3 else name)
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_refer_only_to_what_has_content(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    known = available(study)
    assert all(set(sentence.references) <= known for sentence in every_sentence(study))


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_bears_evidence_that_fits_json(kind: str, study_of: StudyOf) -> None:
    for sentence in every_sentence(study_of(kind)):
        json.dumps(plain(sentence.as_dict), allow_nan=False)
        assert sentence.evidence, sentence.rule


def test_transfer_wins(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    text = said(study, "answer.accuracy.transfer")
    assert text.startswith(
        "Start from a pretrained network: fine-tuned efficientnet_lite0 gets 90.0 % of the"
    )
    assert "2,000 test images right (mean of three seeds), 10.0 points more than the custom CNN" in text
    assert "exact McNemar test, Holm-corrected" in text
    assert "takes 4.3 times as long to train" in said(study, "answer.cost.winner")
    assert "gave 14.0 points: on one and the same network" in said(study, "answer.pretraining.gain")


def test_scratch_wins(study_of: StudyOf) -> None:
    study = study_of("scratch_wins")
    text = said(study, "answer.accuracy.scratch")
    assert text.startswith("Train your own: the custom CNN gets 92.8 %")
    assert "5.0 points more than fine-tuned resnet18" in text
    assert said(study, "answer.cost.winner").startswith("It is the cheaper choice as well")


def test_a_tie_is_said_as_a_tie(study_of: StudyOf) -> None:
    study = study_of("tie")
    text = said(study, "answer.accuracy.tie")
    assert text.startswith("Accuracy does not decide it")
    assert "within noise (95 % interval −" in text
    assert "speaks for the custom CNN" in said(study, "answer.cost.tie")
    assert "accuracy.leader" in rules(study)
    assert "cannot be told from" in said(study, "accuracy.leader")


def test_no_comparative_is_claimed_of_models_that_cannot_be_told_apart(study_of: StudyOf) -> None:
    for kind in ("tie", "perfect"):
        study = study_of(kind)
        for sentence in every_sentence(study):
            of_accuracy = not sentence.rule.startswith(("cost.", "answer.cost", "limits.", "learning."))
            assert not of_accuracy or not re.search(COMPARATIVES, sentence.text), sentence.text


@pytest.mark.parametrize("kind", KINDS)
def test_every_accuracy_comparison_that_is_claimed_is_distinguishable(kind: str, study_of: StudyOf) -> None:
    claims = {
        "answer.accuracy.transfer",
        "answer.accuracy.scratch",
        "answer.pretraining.gain",
        "pretraining.fine_tune.gain",
        "pretraining.linear_probe.gain",
        "pretraining.tuning.gain",
    }
    for sentence in every_sentence(study_of(kind)):
        if sentence.rule in claims:
            assert sentence.evidence["distinguishable"], sentence.text
            assert sentence.evidence["p_holm"] < 0.05


def test_overlapping_seeds_make_a_tie(tmp_path: Path) -> None:
    models = [Made(accuracy=0.80, seeds=(0, 1, 2), seed_step=0.05),
              Made("resnet18", "fine_tune", 0.86, seeds=(0, 1, 2), seed_step=0.05)]  # fmt: skip
    study = study_with(tmp_path, *models, data=replace(DATA, test=3000))
    text = said(study, "answer.accuracy.tie")
    assert "no larger than that between seeds" in text
    assert "75.0 to 85.0 % against 81.0 to 91.0 %" in text


def test_a_difference_that_holm_does_not_grant_is_not_claimed(study_of: StudyOf) -> None:
    text = said(study_of("two_classes"), "pretraining.linear_probe.tie")
    assert "a difference that many comparisons make by chance (95 % interval 0.5 to 9.8 points" in text


def test_pretraining_may_hurt(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made("resnet18", "scratch", 0.9), Made("resnet18", "fine_tune", 0.7))
    assert said(study, "answer.accuracy.scratch").startswith(
        "Train your own: resnet18 from scratch gets 90.0 %"
    )
    assert "20.0 points less than the 90.0 %" in said(study, "pretraining.fine_tune.loss")
    assert "with no difference of architecture mixed in" in said(study, "answer.pretraining.same-network")


def test_fine_tuning_may_lose_against_frozen_features(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made("resnet18", "linear_probe", 0.9), Made("resnet18", "fine_tune", 0.7))
    assert "loses 20.0 points against leaving its features frozen" in said(study, "pretraining.tuning.loss")


def test_a_change_of_image_size_is_not_hidden_in_the_gain(tmp_path: Path) -> None:
    models = (Made(), Made("resnet18", "scratch", 0.6), Made("resnet18", "fine_tune", 0.9, input_size=128))
    study = study_with(tmp_path, *models)
    text = said(study, "answer.pretraining.gain")
    assert text.startswith(
        "Pretraining and a change of image size together gave 30.0 points: on one and the same network"
    )
    assert "gets 90.0 % at 128 pixels against 60.0 % from scratch at 32 pixels" in text


def test_the_best_from_scratch_speaks_for_that_side(tmp_path: Path) -> None:
    models = (Made(accuracy=0.6), Made("resnet18", "scratch", 0.9), Made("vgg16", "fine_tune", 0.8))
    text = said(study_with(tmp_path, *models), "answer.accuracy.scratch")
    assert text.startswith("Train your own: resnet18 from scratch")


def test_one_model_answers_half(study_of: StudyOf) -> None:
    study = study_of("one_model")
    assert said(study, "answer.one-side.missing").startswith("This one run answers only half of the question")
    assert "80.0 % (95 % interval 75.8 to 83.6 %) of the 400 test images" in said(
        study, "answer.one-side.accuracy"
    )
    assert not any("beyond noise" in sentence.text for sentence in every_sentence(study))


def test_without_transfer_or_scratch_the_missing_side_is_named(study_of: StudyOf) -> None:
    missing = {
        kind: said(study_of(kind), "answer.one-side.missing") for kind in ("no_transfer", "no_scratch")
    }
    assert "none of them starts from a pretrained network" in missing["no_transfer"]
    assert "none of them trains a network from scratch" in missing["no_scratch"]


def test_a_side_that_failed_is_told_from_one_that_was_not_asked_for(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune", failed_seeds=(0,)))
    assert "everything that was to start from a pretrained network failed (fine-tuned resnet18)" in said(
        study, "answer.one-side.missing"
    )


def test_failed_runs_are_named_with_their_reason(study_of: StudyOf) -> None:
    found = [s.text for s in verdict(study_of("failed_run"))["limits"] if s.rule == "limits.failed"]
    assert found == [
        "Fine-tuned resnet18 stands on fewer runs than planned, since one of its two seeds failed: out of "
        "memory at batch size 128. Try a smaller batch_size.",
        "Fine-tuned efficientnet_lite0 is missing from every comparison, since it failed: out of memory at "
        "batch size 128. Try a smaller batch_size.",
    ]


def test_all_failed_has_no_answer_and_says_why(study_of: StudyOf) -> None:
    study = study_of("all_failed")
    assert said(study, "answer.failed") == "There is no answer yet: both runs failed."
    assert "gave the same reason: out of memory" in said(study, "answer.failed.reason")
    assert recommendations(study) == []
    assert [name for name, sentences in verdict(study).items() if sentences] == ["limits"]


def test_models_no_better_than_the_commonest_class_are_named(study_of: StudyOf) -> None:
    text = said(study_of("two_classes"), "accuracy.chance")
    assert text == (
        "Always naming the commonest class would score 74.8 %, which resnet18 from scratch and the linear "
        "probe on resnet18 do not beat beyond noise."
    )


def test_classes_that_gain_and_lose_are_named(tmp_path: Path) -> None:
    study = study_with(
        tmp_path, Made(accuracy=0.6), Made("resnet18", "fine_tune", 0.6), data=replace(DATA, test=2000)
    )
    own, transfer = study.models
    _answer_class(own.test[0], 0, right=False)
    _answer_class(transfer.test[0], 0, right=True)
    _answer_class(own.test[0], 1, right=True)
    _answer_class(transfer.test[0], 1, right=False)
    text = said(study, "classes.differences")
    assert "does better in one of ten classes beyond noise, namely “airplane” (+100.0 points)" in text
    assert ", but does worse in one of ten classes beyond noise, namely “automobile” (−100.0 points)" in text


def _answer_class(split: SplitPredictions, target: int, right: bool) -> None:
    """Make a model right or wrong on all images of one class."""
    rows = np.flatnonzero(split.target == target)
    predicted = split.predicted.copy()
    predicted[rows] = target if right else (target + 2) % 10
    split.__dict__.update(predicted=predicted, correct=predicted == split.target)


def test_recommendations_answer_every_situation(study_of: StudyOf) -> None:
    found = {r.situation: r.choice for r in recommendations(study_of("transfer_wins"))}
    assert found == {
        "Accuracy above all": "fine-tuned efficientnet_lite0",
        "Few images": "fine-tuned efficientnet_lite0",
        "Little time to train": "the linear probe on resnet18",
        "A small device": "the custom CNN",
        "No internet": "fine-tuned efficientnet_lite0",
        "Must be accounted for": "the custom CNN",
    }


def test_a_cheap_model_that_hardly_learned_is_not_recommended(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.2), Made("resnet18", "fine_tune", 0.9))
    found = {r.situation: r.choice for r in recommendations(study)}
    assert found["A small device"] == found["Little time to train"] == "fine-tuned resnet18"


def test_weights_that_are_downloaded_do_not_work_offline_at_first(study_of: StudyOf) -> None:
    assert {r.situation: r.choice for r in recommendations(study_of("no_scratch"))}["No internet"] == (
        "not settled by these runs"
    )


def test_limits_bear_the_numbers_of_these_runs(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    assert said(study, "limits.seeds").startswith("Each model ran once")
    assert "500 val images" in said(study, "limits.val-choice")
    assert "1.0 % have a near-duplicate" in said(study, "limits.near-duplicates")
    assert "2,000 test images" in said(study, "limits.test-size")
    assert "With three seeds per model" in said(study_of("transfer_wins"), "limits.seeds")


def test_unequal_training_sets_are_a_limit(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune"))
    record = study.models[1].records[0]
    sizes = {**record.details.dataset.split_sizes, "train": 50}  # type: ignore[union-attr]
    dataset = record.details.dataset.model_copy(update={"split_sizes": sizes})  # type: ignore[union-attr]
    object.__setattr__(record, "details", record.details.model_copy(update={"dataset": dataset}))
    assert "fine-tuned resnet18 from 50, the custom CNN from 400" in said(study, "limits.unequal-data")


def test_hostile_names_cannot_become_markup(study_of: StudyOf) -> None:
    study = study_of("hostile_names")
    for sentence in every_sentence(study):
        shown = pypandoc.convert_text(
            replace(sentence, references=[]).markdown, "plain", format="markdown", extra_args=["--wrap=none"]
        )
        assert shown.strip() == unbroken(sentence.text)


def test_references_stand_in_brackets_before_the_full_stop() -> None:
    sentence = Sentence("It is 5 % better.", "rule", references=["fig-accuracy", "tbl-tests"])
    assert sentence.markdown == f"It is 5{NBSP}% better (@fig-accuracy, @tbl-tests)."
    assert sentence.cited({"tbl-tests"}) == f"It is 5{NBSP}% better (@tbl-tests)."
    assert sentence.cited(set()) == f"It is 5{NBSP}% better."
    assert paragraph([sentence, sentence], set()) == f"It is 5{NBSP}% better. It is 5{NBSP}% better."


def test_sentences_do_not_repeat_each_other(study_of: StudyOf) -> None:
    for kind in KINDS:
        texts = [sentence.text for sentence in every_sentence(study_of(kind))]
        assert len(texts) == len(set(texts))


def test_equally_easy_classes_are_not_told_apart(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(accuracy=0.6), data=replace(DATA, test=2000))
    split = study.models[0].test[0]
    _answer_class(split, 0, right=False)
    _answer_class(split, 1, right=True)
    _answer_class(split, 2, right=True)
    assert said(study, "classes.hardest") == (
        "The custom CNN finds “airplane” hardest (0.0 % of the images right) and makes no mistake in "
        "“automobile” and “bird”."
    )


def test_a_temperature_that_raises_the_ece_is_not_said_to_lower_it(study_of: StudyOf) -> None:
    text = said(study_of("scratch_wins"), "calibration.temperature")
    assert "log loss 0.97 to 0.90, though the ECE rises from 15.7 % to 16.9 %" in text


def test_all_models_that_had_not_finished_are_one_phrase(tmp_path: Path) -> None:
    models = [Made(m, mode, learning="unfinished") for m, mode in (
        ("custom_cnn", "scratch"), ("resnet18", "scratch"), ("resnet18", "fine_tune"))]  # fmt: skip
    text = said(study_with(tmp_path, *models), "learning.unfinished")
    assert text.startswith("None of the three models had finished learning")


def test_models_that_miss_the_same_images_may_agree_on_the_answer(study_of: StudyOf) -> None:
    assert said(study_of("two_classes"), "errors.all-miss").endswith("and all agree on the wrong answer.")
    assert "in 12 of them both agree on the wrong answer" in said(study_of("tie"), "errors.all-miss")
    assert said(study_of("tie"), "errors.alike") == (
        "The two give the same answer to 80.0 % of the test images; at least one is right on 93.5 %, which "
        "no vote among them could exceed."
    )


def test_values_of_a_few_models_are_each_said_and_of_many_the_ends() -> None:
    def show(value: float) -> str:
        return f"{value:.0f}"

    assert each_or_span([3, 3, 3], show) == "3"
    assert each_or_span([3, 1], show) == "3 and 1"
    assert each_or_span([3, 1, 4, 1, 5], show) == "1 to 5"


def test_many_models_are_counted_and_a_few_are_named(tmp_path: Path, study_of: StudyOf) -> None:
    many = [Made(name, "scratch", 0.8, learning="overfit") for name in ("resnet18", "vgg16", "vgg11")]
    many += [Made(name, "fine_tune", 0.95, learning="stopped") for name in ("resnet18", "vgg16")]
    text = said(study_with(tmp_path / "five", *many), "learning.overfitting")
    assert text.startswith("resnet18 from scratch, vgg16 from scratch and vgg11 from scratch overfit: at")
    assert "; fine-tuned resnet18" in text  # within the sentence, nothing is capitalised
    more = [*many, *(Made(name, "scratch", 0.8, learning="overfit") for name in ("vgg13", "vgg19"))]
    text = said(study_with(tmp_path / "seven", *more), "learning.overfitting")
    assert text.startswith("Five models overfit: at their best epochs they are 16.0 points better")
    assert said(study_of("two_classes"), "calibration.over").startswith("All five models are too sure")


def test_nothing_is_promised_of_models_without_errors(study_of: StudyOf) -> None:
    study = study_of("perfect")
    assert said(study, "errors.alike").endswith("; on every image at least one is right.")
    assert said(study, "calibration.coverage").endswith("gets 100.0 % of those right, as of all.")


def test_energy_is_told_with_what_was_counted_where_it_was(tmp_path: Path, study_of: StudyOf) -> None:
    assert "cost.energy" not in rules(study_of("one_seed"))
    two = (Made(energy_joules=7200.0), Made("resnet18", "fine_tune", 0.9, energy_joules=36000.0))
    assert said(study_with(tmp_path / "two", *two), "cost.energy") == (
        "In energy, training took 2.0 Wh for the custom CNN and 10.0 Wh for fine-tuned resnet18, by the "
        "counters of processor."
    )
    names = ("vgg11", "vgg13", "vgg16", "vgg19", "resnet18")
    five = [Made(name, "scratch", 0.8, energy_joules=3600.0 * (n + 1)) for n, name in enumerate(names)]
    assert "training took from 1.0 Wh (vgg11 from scratch) to 5.0 Wh (resnet18 from scratch), by" in said(
        study_with(tmp_path / "five", *five), "cost.energy"
    )


def test_energy_of_a_model_whose_seeds_were_not_all_counted_is_not_told(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(seeds=(0, 1), energy_joules=7200.0))
    record = study.records[0]
    timings = record.details.timings.model_copy(update={"energy_joules": None})  # type: ignore[union-attr]
    object.__setattr__(record, "details", record.details.model_copy(update={"timings": timings}))
    assert "cost.energy" not in rules(study)
