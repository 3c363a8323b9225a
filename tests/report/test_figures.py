from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from pipeline.report import figures
from pipeline.report.figures import cost
from pipeline.report.figures.confusion import draw_matrix
from pipeline.report.look import svg, theme
from pipeline.report.study import Study
from pipeline.report.verdict import pair_of
from pipeline.report.words.english import percent
from tests.made_records import KINDS
from tests.report.conftest import StudyOf

# Those that draw something of their own; the others are covered by the tests below.
SITUATIONS = sorted(
    set(KINDS) - {"transfer_wins", "scratch_wins", "one_seed", "no_custom", "tie", "no_transfer"}
)


def words(drawing: Figure | Axes) -> list[str]:
    return [text.get_text() for text in drawing.findobj(Text) if text.get_text()]


def with_words(drawing: Figure, text: str) -> bool:
    return any(text in found for found in words(drawing))


@pytest.mark.parametrize("kind", SITUATIONS)
def test_every_figure_can_be_drawn_in_every_situation(study_of: StudyOf, kind: str) -> None:
    for name in figures.__all__:
        drawing = getattr(figures, name)(study_of(kind))
        assert drawing.get_size_inches()[0] == pytest.approx(theme.WIDTH)
        assert drawing.get_size_inches()[1] <= theme.MAX_HEIGHT + 0.1, name


@pytest.mark.parametrize("name", figures.__all__)
def test_hostile_names_leave_the_svg_well_formed(study_of: StudyOf, name: str) -> None:
    content = svg.write(getattr(figures, name)(study_of("hostile_names")))
    root = ElementTree.fromstring(content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not root.findall(".//{http://www.w3.org/2000/svg}script")


@pytest.mark.parametrize("name", sorted({*figures.__all__} - {"confusion", "augmented"}))
def test_words_are_large_enough_for_half_a_page(study_of: StudyOf, name: str) -> None:
    drawing = getattr(figures, name)(study_of("one_seed"))
    shown = [text for text in drawing.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in shown) >= 8


def test_rows_of_the_heat_map_are_true_labels() -> None:
    true, predicted = [0, 0, 0, 1, 2, 2], [0, 1, 1, 1, 2, 0]
    matrix = confusion_matrix(true, predicted)
    axes = Figure(figsize=(6, 6)).subplots()
    draw_matrix(axes, matrix, ["ant", "bee", "cat"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cat"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert axes.yaxis_inverted()
    shares = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    assert shares == pytest.approx(matrix / matrix.sum(axis=1, keepdims=True))
    counts = {text.get_position(): text.get_text() for text in axes.texts}
    assert counts[1.5, 0.5] == "2"  # two ants taken for bees: row 0, column 1
    assert (0.5, 1.5) not in counts  # no bee taken for an ant


def test_all_confusion_matrices_share_classes_and_scale(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    maps = [axes.collections[0] for axes in figures.confusion(study).axes]
    assert len(maps) == len(study.models)
    assert len({(m.norm.vmin, m.norm.vmax, m.norm.gamma) for m in maps}) == 1
    for drawn, group in zip(maps, study.models, strict=True):
        counts = confusion_matrix(group.chosen_test.target, group.chosen_test.predicted)
        shares = np.asarray(drawn.get_array()).reshape(10, 10)
        assert shares == pytest.approx(counts / counts.sum(axis=1, keepdims=True))


def test_a_hundred_classes_are_drawn_without_numbers_or_names(study_of: StudyOf) -> None:
    axes = figures.confusion(study_of("hundred_classes")).axes[0]
    assert not axes.texts
    assert not [label for label in axes.get_yticklabels() if label.get_text()]


def test_accuracies_are_those_of_the_predictions_best_first(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    axes = figures.accuracy(study).axes[0]
    expected = []
    for group in study.models:
        seeds = [record.split("test") for record in group.records]
        expected.append(np.mean([accuracy_score(s.target, s.predicted) for s in seeds]))
    shown = [text.get_text() for text in axes.texts]
    assert shown == [f"{100 * value:.1f} %" for value in sorted(expected, reverse=True)]
    assert axes.get_yticklabels()[0].get_text() == "efficientnet_lite0\nfine-tuned"


def test_intervals_are_drawn_to_their_ends(study_of: StudyOf) -> None:
    study = study_of("one_model")
    estimate = study.models[0].accuracy
    ends = [line.get_xdata() for line in figures.accuracy(study).axes[0].lines]
    assert [estimate.low, estimate.high] in [list(end) for end in ends]


def test_curves_are_the_history_with_the_kept_epoch_marked(study_of: StudyOf) -> None:
    study = study_of("one_model")
    record = study.models[0].chosen
    loss, accuracy = figures.curves(study).axes[:2]
    for axes, what in ((loss, "loss"), (accuracy, "accuracy")):
        train, val, kept = axes.lines[:3]
        assert train.get_ydata() == pytest.approx(record.history[f"train_{what}"])
        assert val.get_ydata() == pytest.approx(record.history[f"val_{what}"])
        assert list(kept.get_xdata()) == [record.details.best_epoch]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")


def test_an_early_stop_is_marked(study_of: StudyOf) -> None:
    study = study_of("one_transfer_model")
    lines = figures.curves(study).axes[0].lines
    assert list(lines[-1].get_xdata()) == [study.models[0].chosen.history["epoch"].max()] * 2


def test_class_counts_are_written_at_the_bars(study_of: StudyOf) -> None:
    study = study_of("two_classes")
    counts = study.models[0].chosen.details.dataset.class_counts
    for axes, split in zip(figures.balance(study).axes, ("train", "val", "test"), strict=True):
        assert axes.get_title(loc="left") == f"{split}: {sum(counts[split]):,}"
        assert [text.get_text() for text in axes.texts] == [f"{count:,}" for count in counts[split]]


def test_per_class_differences_are_first_minus_second(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    first, second = pair_of(study)
    recalls = [
        recall_score(group.chosen_test.target, group.chosen_test.predicted, average=None)
        for group in (first, second)
    ]
    expected = dict(zip(study.classes, recalls[0] - recalls[1], strict=True))
    axes = figures.per_class(study).axes[0]
    drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert dict(zip(names, drawn, strict=True)) == pytest.approx(expected, abs=1e-6)
    assert with_words(axes, f"{first.label}\nbetter →")


def test_three_ways_joins_the_modes_of_one_network(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    axes = figures.three_ways(study).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "from scratch",
        "linear probe",
        "fine-tuned",
    ]
    ways = study.three_ways["resnet18"]
    assert axes.lines[0].get_ydata() == pytest.approx([group.test_accuracy for group in ways.values()])


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("no_transfer", "three_ways", "more than one mode"),
        ("one_model", "per_class", "two models"),
        ("perfect", "mistakes", "no mistake"),
        ("perfect", "all_miss", "missed by every model"),
        ("all_failed", "curves", "No run is whole"),
    ],
)
def test_a_figure_without_content_says_why(study_of: StudyOf, kind: str, name: str, reason: str) -> None:
    assert with_words(getattr(figures, name)(study_of(kind)), reason)


def test_mistakes_name_label_answer_and_confidence(study_of: StudyOf) -> None:
    study = study_of("one_model")
    split = study.models[0].chosen_test
    wrong = np.flatnonzero(~split.correct)
    confidence = split.probability.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")[0]]
    title, label, answer, sure = words(figures.mistakes(study))[:4]
    assert (title, label) == ("custom_cnn", study.classes[split.target[worst]])
    assert answer == study.classes[split.predicted[worst]]
    assert sure == percent(confidence[worst])


def test_images_missed_by_all_count_the_answers(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    first = study.missed_by_all[0]
    number, label, answer = words(figures.all_miss(study))[:3]
    assert number == f"No. {first.index}"
    assert label == study.classes[first.target]
    assert answer.endswith("×5") or "×" in answer


def test_an_image_that_no_run_kept_is_said_to_be_missing(study_of: StudyOf) -> None:
    assert with_words(figures.mistakes(study_of("hundred_classes")), "not kept")


def test_reliability_is_that_of_the_bins(study_of: StudyOf) -> None:
    study = study_of("one_model")
    axes = figures.calibration(study).axes[0]
    bins = study.models[0].calibration.before.bins
    marks = axes.lines[-1]
    assert marks.get_xdata() == pytest.approx(bins.confidence)
    assert marks.get_ydata() == pytest.approx(bins.accuracy)


def test_coverage_ends_at_the_accuracy_on_all_images(study_of: StudyOf) -> None:
    study = study_of("one_model")
    line = figures.coverage(study).axes[0].lines[0]
    split = study.models[0].chosen_test
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (1.0, split.correct.mean())
    sure = split.probability.max(axis=1) >= 0.5
    assert any(
        np.isclose(x, sure.mean()) and np.isclose(y, split.correct[sure].mean())
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    )


def test_front_holds_no_model_that_another_beats(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    axes = next(a for a in figures.pareto(study).axes if a.get_xlabel() == "parameters")
    front = axes.lines[0]
    points = pd.DataFrame(
        {
            "cost": [g.cost.total_parameters for g in study.models],
            "score": [g.test_accuracy for g in study.models],
        }
    ).sort_values(["cost", "score"], ascending=[True, False])
    best = points[points["score"] > points["score"].cummax().shift(fill_value=0)]
    assert list(front.get_xdata()) == list(best["cost"])
    assert front.get_ydata() == pytest.approx(best["score"])


@pytest.mark.parametrize(
    "limits", [(3.5e7, 7.5e7), (1e6, 1.1e6), (1e6, 9e6), (2e4, 3e6), (1e3, 1e9), (0.4, 0.9)]
)
def test_costs_have_few_round_numbers_on_their_axis(limits: tuple[float, float]) -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(limits)
    ticks = [tick for tick in cost._locator(axes).tick_values(*limits) if limits[0] <= tick <= limits[1]]

    assert 1 <= len(ticks) <= 7


def test_models_keep_their_color_in_every_figure(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    styles = theme.model_styles(study)
    assert len({style.color for style in styles.values()}) == len(study.models)
    for name in ("accuracy", "coverage", "three_ways", "pareto"):
        colors = {
            theme.to_hex(line.get_color()) for line in getattr(figures, name)(study).findobj(theme.Line2D)
        }
        assert _models_shown(study, name) <= colors


def _models_shown(study: Study, name: str) -> set[str]:
    styles = theme.model_styles(study)
    shown = study.three_ways["resnet18"].values() if name == "three_ways" else study.models
    return {styles[group.key].color for group in shown}
