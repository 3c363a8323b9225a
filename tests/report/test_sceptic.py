"""A sceptic reads every sentence of every made study: what is claimed, the records show."""

from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.record import Copies, Duplicates, SplitPredictions
from pipeline.report import page
from pipeline.report.chapters import images, short
from pipeline.report.chapters.recommendations import NOT_SETTLED, recommendations
from pipeline.report.evidence.tests import beats_chance
from pipeline.report.look import floats
from pipeline.report.look.paragraph import Words
from pipeline.report.study import Study
from pipeline.report.words.claims import every_claim
from pipeline.report.words.sentence import Sentence
from tests.made_records import KINDS, Made, MadeData, write_experiment
from tests.report.chapters.tools import every_sentence
from tests.report.conftest import StudyOf

FEW = MadeData(train=400, val=200, test=400, near_duplicates=0, label_errors=0)
THREE_HUNDRED = tuple(f"class {k}" for k in range(300))
SCRATCH, TUNED = Made(accuracy=0.8), Made("resnet18", "fine_tune", 0.9)
MORE: dict[str, tuple[MadeData, tuple[Made, ...]]] = {
    "random_labels": (replace(FEW, classes=("a", "b", "c", "d", "e")),
                      (replace(SCRATCH, accuracy=0.21), replace(TUNED, accuracy=0.2))),
    "one_side_at_chance": (FEW, (replace(SCRATCH, accuracy=0.1), TUNED)),
    "leak_by_copies": (replace(FEW, near_duplicates=200), (SCRATCH, TUNED)),
    "every_image_copied": (replace(FEW, near_duplicates=400), (SCRATCH, TUNED)),
    "ten_seeds": (FEW, tuple(replace(made, seeds=tuple(range(10))) for made in (SCRATCH, TUNED))),
    "24_test_images": (replace(FEW, test=24), (SCRATCH, TUNED)),
    "300_classes": (replace(FEW, train=900, val=600, test=900, classes=THREE_HUNDRED),
                    (replace(SCRATCH, accuracy=0.5), replace(TUNED, accuracy=0.6))),
    "one_failed_of_five": (FEW, tuple(replace(made, seeds=(0, 1, 2, 3, 4), failed_seeds=(3,))
                                      for made in (SCRATCH, TUNED))),
    "equal_models": (replace(FEW, test=4000), tuple(replace(made, accuracy=0.85, seeds=(0, 1, 2))
                                                   for made in (SCRATCH, TUNED))),
    "probe_below_scratch": (FEW, (SCRATCH, Made("resnet18", "linear_probe", 0.6))),
    "one_image_a_class": (replace(FEW, train=100, val=10, test=10), (replace(SCRATCH, accuracy=0.5), TUNED)),
    "unequal_seeds": (FEW, (SCRATCH, replace(TUNED, seeds=(0, 1)),
                            Made("resnet18", "linear_probe", 0.85, seeds=(0, 1, 2, 3, 4)))),
    "all_right": (FEW, tuple(replace(made, accuracy=1.0)
                             for made in (SCRATCH, Made("resnet18", "scratch"), TUNED))),
    "equal_to_the_bit": (FEW, (SCRATCH, replace(SCRATCH, settings={"learning_rate": 0.1}))),
    "five_test_images": (replace(FEW, train=10, val=5, test=5, classes=("a", "b")), (SCRATCH,)),
    "second_on_val": (FEW, (replace(SCRATCH, val_accuracy=0.9), replace(TUNED, accuracy=0.86),
                            Made("resnet18", "scratch", 0.92, val_accuracy=0.85))),
}  # fmt: skip


@pytest.fixture(scope="session")
def read(study_of: StudyOf, tmp_path_factory: pytest.TempPathFactory) -> Any:
    kept: dict[str, Study] = {}

    def study(kind: str) -> Study:
        if kind in KINDS:
            return study_of(kind)
        if kind not in kept:
            folder: Path = tmp_path_factory.mktemp(kind)
            kept[kind] = Study.from_records(*write_experiment(folder, kind, *MORE[kind]))
        return kept[kind]

    return study


def numbers(value: Any) -> Iterator[float]:
    """Yield every number of a sentence's evidence."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)
    elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
        yield float(value)


def comparisons(evidence: Any) -> Iterator[dict[str, Any]]:
    """Yield every comparison of two models that a sentence rests on."""
    if isinstance(evidence, dict):
        if {"first", "second", "verdict", "scope"} <= evidence.keys():
            yield evidence
        for one in evidence.values():
            yield from comparisons(one)
    elif isinstance(evidence, list | tuple):
        for one in evidence:
            yield from comparisons(one)


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_every_sentence_can_be_written_and_rests_on_finite_facts(kind: str, read: Any) -> None:
    for sentence in every_sentence(read(kind)):
        assert sentence.text.endswith("."), sentence
        assert "nan" not in sentence.text.split(), sentence
        assert np.isfinite(list(numbers(sentence.evidence))).all(), sentence


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_a_comparison_in_a_sentence_is_that_of_the_study(kind: str, read: Any) -> None:
    study = read(kind)
    for sentence in every_sentence(study):
        for found in comparisons(sentence.evidence):
            test = study.test(study.model(found["first"]), study.model(found["second"]))
            assert found["verdict"] == test.verdict
            assert (found["verdict"] in ("first", "second")) == (test.p_holm < 0.05)
            assert found["scope"] == ("models" if any(len(m.records) > 1 for m in study.models) else "runs")
            assert found["low"] <= found["difference"] <= found["high"]


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_nothing_is_recommended_that_is_not_shown(kind: str, read: Any) -> None:
    """Accuracy above all is settled only where no other model could be the better one."""
    study = read(kind)
    for one in recommendations(study):
        if one.sentence.rule == "recommend.accuracy":
            verdicts = [test["verdict"] for test in one.sentence.evidence["tests"]]
            settled = all(verdict in ("first", "equivalent") for verdict in verdicts)
            assert (one.choice == NOT_SETTLED) == (not settled)


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_the_answer_begins_with_what_the_verdict_allows(kind: str, read: Any) -> None:
    study = read(kind)
    first = next(s for s in every_sentence(study) if s.rule.startswith("answer."))
    if not first.rule.startswith("answer.accuracy."):
        return
    verdict = first.evidence["verdict"]
    opening = first.text.partition(":")[0]
    expected = {"equivalent": "Accuracy does not decide it", "undecided": "Not settled"}
    if verdict in expected:
        assert opening == expected[verdict]
    else:
        ahead = study.model(first.evidence[verdict])
        assert opening == ("Start from a pretrained network" if ahead.pretrained else "Train your own")


def test_models_that_learned_nothing_are_not_recommended(read: Any) -> None:
    study = read("random_labels")
    assert study.learned == []
    assert recommendations(study) == []
    answer = [s for s in every_sentence(study) if s.rule.startswith("answer.")]
    assert [s.rule for s in answer] == ["answer.chance", "answer.chance.no-choice", "answer.chance.needed"]
    assert answer[0].evidence["chance"] == pytest.approx(np.bincount(study.targets).max() / 400)


def test_what_a_common_class_hides_is_said_class_by_class(tmp_path: Path) -> None:
    """19 of 20 images are of one class; to find half of the others may cost as many of these."""
    data = replace(FEW, test=600, classes=("a", "b"))
    study = Study.from_records(*write_experiment(tmp_path, "x", data, (replace(SCRATCH, accuracy=0.5),)))
    target = np.repeat([0, 1], [570, 30])
    predicted = np.concatenate([np.repeat([0, 1], [555, 15]), np.repeat([1, 0], [15, 15])])
    probability = np.where(np.eye(2)[predicted] > 0, 0.9, 0.1).astype(np.float32)
    splits = {split: SplitPredictions(np.arange(600), target, probability) for split in ("val", "test")}
    study.models[0].chosen.__dict__["_splits"] = splits
    said = {s.rule: s for s in every_sentence(study)}
    assert study.learned == []
    assert "is not shown to be more accurate than one answer for all" in said["answer.chance"].text
    assert said["answer.chance.by-class"].evidence == {
        "custom_cnn-scratch": pytest.approx((555 / 570 + 0.5) / 2)
    }
    assert "learned anything" not in said["short.chance"].text


def _said_of_a_rising_loss(study: Study) -> Sentence:
    """Let the val loss of the only model rise at the end, with answers as good as on train."""
    record = study.models[0].chosen
    history = record.history.copy()
    history["train_accuracy"] = history["val_accuracy"]
    history.loc[8:, "val_loss"] += 0.5
    record.__dict__["history"] = history
    [found] = [s for s in every_sentence(study) if s.rule == "learning.overfitting"]
    return found


def test_weighed_classes_are_not_said_to_grow_too_sure_alone(tmp_path: Path) -> None:
    weighed: dict[str, object] = {"class_weights": "balanced"}
    made = Made(learning="overfit", settings=weighed)
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, (made,)))
    found = _said_of_a_rising_loss(study)
    assert "too sure of itself" not in found.text


def test_few_balanced_test_images_can_show_that_a_model_learned() -> None:
    """16 of 24 right in three equal classes is far from a third, whichever class is named commonest."""
    target = np.repeat([0, 1, 2], 8)
    right = np.repeat([[2, 5, 8]], 1, axis=0)
    correct = np.concatenate([np.arange(8) < n for n in right[0]])[None]
    assert beats_chance({"one": correct}, target)["one"].verdict == "first"
    assert beats_chance({"one": correct}, np.repeat([0, 1, 2], [10, 7, 7]))["one"].verdict == "undecided"


def test_a_side_that_learned_nothing_is_not_compared(read: Any) -> None:
    study = read("one_side_at_chance")
    assert [model.name for model in study.learned] == ["resnet18"]
    assert study.best_scratch is None
    assert study.best is study.learned[0]
    rules = {s.rule for s in every_sentence(study)}
    assert "answer.one-side.unlearned" in rules
    assert {one.choice for one in recommendations(study)} <= {study.learned[0].spoken, NOT_SETTLED}


def test_equality_of_trained_networks_is_said_to_be_of_these(tmp_path: Path) -> None:
    data = replace(FEW, val=500, test=6000)
    models = (replace(SCRATCH, accuracy=0.97), replace(TUNED, accuracy=0.97))
    study = Study.from_records(*write_experiment(tmp_path, "x", data, models))
    [found] = every_claim(study)
    assert (found.outcome, found.test.scope) == ("equivalent", "runs")
    assert "as trained here" in next(iter(short.words(study))).text
    assert "(of these trained networks)" in recommendations(study)[0].sentence.text


def test_unlike_weights_of_rare_classes_are_named(tmp_path: Path) -> None:
    weighed: dict[str, object] = {"class_weights": "balanced"}
    models = (replace(SCRATCH, settings=weighed), TUNED)
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, models))
    assert "weight of rare classes" in every_claim(study)[0].mixed_in


def test_more_seeds_do_not_hide_what_is_plain(read: Any) -> None:
    for kind in ("ten_seeds", "one_failed_of_five"):
        [found] = every_claim(read(kind))
        assert found.better is found.first or found.better is found.second
        assert found.test.scope == "models"


def test_few_test_images_are_no_proof_of_equality(read: Any) -> None:
    [found] = every_claim(read("24_test_images"))
    assert found.outcome != "equivalent"
    said: list[Sentence] = every_sentence(read("24_test_images"))
    assert not [s for s in said if "at their word" in s.text or "at its word" in s.text]


def test_what_sets_an_answer_in_doubt_stands_in_the_answer(read: Any) -> None:
    rules = {kind: {s.rule for s in every_sentence(read(kind))} for kind in ("leak_by_copies", "ten_seeds")}
    assert "answer.leak" in rules["leak_by_copies"]
    assert "answer.leak" not in rules["ten_seeds"]
    mixed = [s for s in every_sentence(read("one_seed")) if s.rule == "answer.mixed-in"]
    assert mixed[0].evidence["differs"] == ["image size", "number of head epochs"]
    probe = next(s for s in every_sentence(read("probe_below_scratch")) if s.rule.startswith("answer.acc"))
    assert probe.rule == "answer.accuracy.scratch"


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_first_screen_is_made_of_every_study(kind: str, read: Any) -> None:
    study = read(kind)
    said = page.handout.opening(study).data + page.handout.closing(study).data
    assert all(sentence.text.removesuffix(".") in unescape(said) for sentence in short.caveats(study))


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_ratios_of_time_are_only_told_of_times_whose_spread_is_known(kind: str, read: Any) -> None:
    study = read(kind)
    for sentence in every_sentence(study):
        if sentence.rule in ("cost.training", "answer.cost.winner") and "as long to train" in sentence.text:
            assert all(len(model.records) > 1 for model in study.pair or study.models)


@pytest.mark.parametrize("kind", [*KINDS, *MORE])
def test_the_commonest_confusion_is_named_only_where_there_is_one(kind: str, read: Any) -> None:
    study = read(kind)
    for sentence in every_sentence(study):
        if sentence.rule == "errors.confused":
            matrix = study.best.metrics.confusion_matrix.copy()
            np.fill_diagonal(matrix, 0)
            assert (matrix == sentence.evidence["count"]).sum() == 1


def test_a_count_is_said_of_what_it_counts(read: Any) -> None:
    """One run each, all of them, one error: what a sentence counts is what there is."""
    said = {s.rule: s.text for s in every_sentence(read("unequal_seeds"))}
    assert "one measured once" in said["answer.cost.winner"]
    said = {s.rule: s.text for s in every_sentence(read("all_right"))}
    assert "all of these are equivalent" in said["accuracy.ties"]
    assert said["errors.alike"].startswith("Every two of them")
    said = {s.rule: s.text for s in every_sentence(read("one_image_a_class"))}
    assert said["errors.confident"].startswith("Its one error")
    assert "1 image of the 1 of that class" in said["errors.confused"]
    said = {s.rule: s.text for s in every_sentence(read("equal_to_the_bit"))}
    assert "7.6 to 7.6" not in said["calibration.over"]


def test_few_images_part_no_classes(read: Any) -> None:
    p = {}
    for kind in ("one_image_a_class", "one_seed"):
        [found] = [s for s in every_sentence(read(kind)) if s.rule == "classes.hardest"]
        p[kind] = found.evidence["p"]
        assert ("chance alone" in found.text) == (p[kind] >= 0.05)
    assert p["one_image_a_class"] >= 0.05


def test_what_is_not_shown_to_have_learned_is_not_ranked(read: Any) -> None:
    rules = {s.rule.partition(".")[0] for s in every_sentence(read("random_labels"))}
    assert not rules & {"robustness", "tradeoffs", "recommend"}
    assert "classes.none" not in {s.rule for s in every_sentence(read("random_labels"))}
    study = read("one_side_at_chance")
    assert "only model that is shown" in recommendations(study)[0].sentence.text
    assert not floats.has("tbl-tests", study)  # one model is no pair


def test_no_lead_over_chance_is_promised_that_cannot_be(read: Any) -> None:
    [needed] = [s for s in every_sentence(read("five_test_images")) if s.rule == "answer.chance.needed"]
    assert "hardly any lead over chance can be seen" in needed.text


def test_a_model_that_does_better_on_test_than_the_best_on_val_is_named(read: Any) -> None:
    study = read("second_on_val")
    own, tuned, other = study.models
    assert study.pair == (tuned, own)
    answer = next(s for s in every_sentence(study) if s.rule == "answer.accuracy.transfer")
    assert f"on test {other.spoken} does better than {tuned.spoken}" in answer.text
    assert [s.text for s in short.words(study) if s.rule == "short.caveat.not-all"] == [
        "On test: C better than B."
    ]


def test_a_side_that_ran_is_not_said_to_be_missing(read: Any) -> None:
    said = {kind: next(iter(short.words(read(kind)))).text for kind in ("one_side_at_chance", "no_scratch")}
    assert "nothing trained from scratch is shown to have learned" in said["one_side_at_chance"]
    assert "nothing trained from scratch ran" in said["no_scratch"]


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("test_in_val", "in val"),
        ("val_in_train", "in train, so that val"),
        ("train_across_classes", "another class"),
    ],
)
def test_copies_of_every_kind_are_told_in_the_answer(kind: str, where: str, tmp_path: Path) -> None:
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, (SCRATCH, TUNED)))
    assert not [s for s in every_sentence(study) if s.rule == "answer.leak"]
    none = Copies(searched=200)
    parts = dict.fromkeys(("test_in_train", "test_in_val", "val_in_train", "train_across_classes"), none)
    parts[kind] = Copies(searched=200, exact=[1, 2], exact_of=[3, 4], near=[2, 7, 9], near_of=[4, 1, 1])
    _recorded(study, duplicates=Duplicates(rule="made", **parts))
    [short_] = [s for s in short.words(study) if s.rule == "short.caveat.leak"]
    assert short_.evidence == {kind: 4}
    [found] = [s for s in every_sentence(study) if s.rule == "answer.leak"]
    assert found.evidence == {kind: {"copies": 4, "images": 200}}
    assert where in found.text
    assert "2.0" in found.text


def test_a_probe_is_not_sold_as_pretraining_alone(tmp_path: Path) -> None:
    models = (Made("resnet18", "scratch", 0.8), Made("resnet18", "linear_probe", 0.6))
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, models))
    [found] = [s for s in every_sentence(study) if s.rule.startswith("answer.pretraining")]
    assert "the layers that learn" in found.text
    assert "what pretraining itself does" not in found.text


def test_unlike_numbers_of_training_images_are_named(tmp_path: Path) -> None:
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, (SCRATCH, TUNED)))
    dataset = study.dataset.model_copy(update={"split_sizes": {"train": 100, "val": 200, "test": 400}})
    first = study.models[0].chosen
    object.__setattr__(first, "details", first.details.model_copy(update={"dataset": dataset}))
    said = {s.rule: s for s in every_sentence(study)}
    assert "from 100 to 400 images" in said["data.sizes"].text
    assert "number of training images" in said["answer.mixed-in"].evidence["differs"]


def _recorded(study: Study, **changes: object) -> None:
    """Change what every run recorded of its images."""
    for record in study.records:
        dataset = record.details.dataset.model_copy(update=changes)  # type: ignore[union-attr]
        object.__setattr__(record, "details", record.details.model_copy(update={"dataset": dataset}))


def test_the_answer_of_one_common_class_is_set_against_it(read: Any) -> None:
    study = read("two_classes")
    [found] = [s for s in every_sentence(study) if s.rule == "answer.commonest"]
    assert found.evidence["share"] == np.bincount(study.targets).max() / len(study.targets)


def test_augmentation_is_not_claimed_of_features_that_were_cached(tmp_path: Path) -> None:
    flipped: dict[str, object] = {"augmentation": ["flip"]}
    models = (Made(settings=flipped), Made("resnet18", "linear_probe", 0.7, settings=flipped))
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, models))
    said = _text(images.augmentation_words(study))
    assert "of the custom CNN, images are changed" in said
    assert "the other models saw them as they are" in said
    alone = Study.from_records(*write_experiment(tmp_path / "probe", "x", FEW, models[1:]))
    assert _text(images.augmentation_words(alone)) == "Training changed no image at random."


def test_a_probe_of_several_views_does_not_see_images_changed_anew(tmp_path: Path) -> None:
    several: dict[str, object] = {"augmentation": ["flip"], "feature_views": 4}
    probe = Made("resnet18", "linear_probe", 0.7, settings=several)
    said = _text(
        images.augmentation_words(Study.from_records(*write_experiment(tmp_path, "x", FEW, (probe,))))
    )
    assert said.startswith("The linear probe on ResNet-18 draws from 4 views of each image, one as it is")
    assert "each time" not in said


def _text(said: Words) -> str:
    return " ".join(sentence.text for sentence in said)


def test_a_rising_loss_with_answers_as_good_is_confidence(tmp_path: Path) -> None:
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, (Made(learning="overfit"),)))
    found = _said_of_a_rising_loss(study)
    assert found.evidence["custom_cnn-scratch"]["fit"] == "overfitting"
    assert "too sure of itself" in found.text


def test_images_learned_by_heart_after_the_kept_epoch_are_said_to_be(tmp_path: Path) -> None:
    """Random labels: the first epoch is kept, then train accuracy goes to 92 % and val stays."""
    study = Study.from_records(*write_experiment(tmp_path, "x", FEW, (Made(accuracy=0.12),)))
    record = study.models[0].chosen
    history = record.history.copy()
    epochs, kept = len(history), record.details.best_epoch
    history["val_accuracy"], history["train_accuracy"] = 0.12, np.linspace(0.1, 0.92, epochs)
    history["val_loss"], history["train_loss"] = np.linspace(2.3, 3.7, epochs), np.linspace(2.3, 0.5, epochs)
    object.__setattr__(record, "details", record.details.model_copy(update={"best_epoch": 1}))
    record.__dict__["history"] = history
    assert kept != 1
    [found] = [s for s in every_sentence(study) if s.rule == "learning.overfitting"]
    assert "at the end it was 80.0" in found.text
