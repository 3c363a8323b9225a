import re
from pathlib import Path

import numpy as np
import pandas as pd
import pypandoc
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from pipeline.record import RunRecord
from pipeline.report import tables
from pipeline.report.study import Study
from pipeline.report.tables.markdown import BETWEEN, ROOM, table
from pipeline.report.verdict import pair_of
from pipeline.report.words.english import energy, percent, quantity, signed
from tests.made_records import HOSTILE_CLASSES, KINDS, Made, MadeData, write_experiment
from tests.report.conftest import StudyOf


def grid(markdown: str) -> list[list[str]]:
    """Return the cells of a pipe table, its header first, as a reader sees them."""
    rows = [line for line in markdown.strip().splitlines() if not re.fullmatch(r"\|[ :|-]+\|", line)]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [[re.sub(r"\\([\W_])", r"\1", cell).replace("**", "") for cell in row] for row in cells]


def predictions(record: RunRecord) -> tuple[np.ndarray, np.ndarray]:
    """Read true and predicted classes on test straight from the run's file."""
    rows = pd.read_parquet(record.folder / "predictions.parquet").query("split == 'test'")
    probability = rows.filter(regex="^probability_").to_numpy()
    return rows["target"].to_numpy(), probability.argmax(axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_is_whole_in_every_situation(study_of: StudyOf, kind: str) -> None:
    for name in tables.__all__:
        found = getattr(tables, name)(study_of(kind)).data
        if not found.startswith("|"):
            assert re.fullmatch(r"\*[A-Z].*\.\*\n", found), name  # one quiet sentence
            continue
        rows = grid(found)
        assert len({len(row) for row in rows}) == 1, name
        assert all(rows[0]), name


@pytest.mark.parametrize("kind", ["transfer_wins", "two_classes", "hundred_classes"])
def test_headline_is_what_scikit_learn_makes_of_the_predictions(study_of: StudyOf, kind: str) -> None:
    study = study_of(kind)
    header, *rows = grid(tables.headline(study).data)
    for group, row in zip(study.models, rows, strict=True):
        answers = [predictions(record) for record in group.records]
        macro = [precision_recall_fscore_support(*a, average="macro", zero_division=0)[:3] for a in answers]
        scores = [np.mean([accuracy_score(*a) for a in answers]), *np.mean(macro, axis=0)]
        shown = dict(zip(header, row, strict=True))
        names = ("Accuracy", "Precision", "Recall", "F1")
        assert [shown[name] for name in names] == [percent(score) for score in scores]
        assert shown["Model"] == group.label
        assert shown["Parameters"] == quantity(group.network.total_parameters)


def test_headline_marks_the_best_on_val(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    bold = [line for line in tables.headline(study).data.splitlines() if "**" in line]
    assert len(bold) == 1
    assert percent(study.best.test_accuracy) in bold[0]


def test_headline_shows_failed_models_in_their_place(study_of: StudyOf) -> None:
    rows = grid(tables.headline(study_of("failed_run")).data)[1:]
    assert [row[1] for row in rows] == [
        "custom_cnn",
        "resnet18, fine-tuned (1 of 2 runs failed)",
        "efficientnet_lite0, fine-tuned",
    ]
    assert [row[2] for row in rows][2] == "failed"
    assert rows[2][0] == ""


def test_runs_tell_why_they_failed(study_of: StudyOf) -> None:
    rows = grid(tables.runs(study_of("failed_run")).data)[1:]
    assert len(rows) == 4
    assert sum("failed in cell 5 (fit): out of memory" in row[2] for row in rows) == 2


def test_pairs_are_row_minus_column_above_and_p_values_below(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    header, *rows = grid(tables.tests(study).data)
    assert header[2:] == [row[0] for row in rows] == list("ABCDE")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row[2:]):
            test = study.test(study.models[i], study.models[j]) if i != j else None
            if test is None:
                assert cell == ""
            elif i < j:
                difference = signed(accuracy(study.models[i].chosen) - accuracy(study.models[j].chosen))
                assert cell == (difference if test.distinguishable else f"tie ({difference})")
            else:
                assert cell in (f"{test.p_holm:.3f}", "<\u00a00.001")


def accuracy(record: RunRecord) -> float:
    return float(accuracy_score(*predictions(record)))


def test_scores_per_class_are_those_of_scikit_learn(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    header, *rows = grid(tables.per_class(study).data)
    assert header == ["Class", "Images", "E: precision", "recall", "F1", "A: precision", "recall", "F1"]
    scores = [precision_recall_fscore_support(*predictions(group.chosen)) for group in pair_of(study)]
    for k, row in enumerate(rows):
        assert row[0] == study.classes[k]
        assert row[1] == f"{scores[0][3][k]:,}"
        assert row[2:] == [percent(one[part][k]) for one in scores for part in range(3)]


def test_f1_of_every_model_is_listed_by_class(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    rows = grid(tables.f1_per_class(study).data)[1:]
    for column, group in enumerate(study.models, start=1):
        scores = f1_score(*predictions(group.chosen), average=None)
        assert [row[column] for row in rows] == [percent(score) for score in scores]


def test_of_many_classes_the_hardest_are_listed(study_of: StudyOf) -> None:
    study = study_of("hundred_classes")
    shown = {row[0] for row in grid(tables.f1_per_class(study).data)[1:]}
    assert len(shown) == 30
    mean = np.mean([f1_score(*predictions(g.chosen), average=None) for g in study.models], axis=0)
    assert study.classes[int(mean.argmin())] in shown
    assert study.classes[int(mean.argmax())] not in shown


def test_confusions_are_counts_of_the_matrices_largest_first(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    matrices = [confusion_matrix(*predictions(group.chosen)) for group in study.models]
    total = sum(matrices)
    np.fill_diagonal(total, 0)
    rows = grid(tables.confused(study).data)[1:]
    places = [(study.classes.index(row[0]), study.classes.index(row[1])) for row in rows]
    assert [total[place] for place in places] == sorted(total.ravel(), reverse=True)[: len(rows)]
    for row, place in zip(rows, places, strict=True):
        assert row[2:] == [str(matrix[place] or "–") for matrix in matrices]


def test_duplicates_table_gives_the_accuracy_without_them(study_of: StudyOf) -> None:
    study = study_of("one_model")
    twins = study.dataset.near_duplicates
    truth, guess = predictions(study.models[0].chosen)
    kept = ~np.isin(np.arange(len(truth)), twins)
    row = grid(tables.duplicates(study).data)[1]
    assert row[1] == percent(accuracy_score(truth, guess))
    assert row[2] == percent(accuracy_score(truth[kept], guess[kept]))
    assert row[3] == percent(accuracy_score(truth[~kept], guess[~kept]))


def test_recommendations_cite_their_ground(study_of: StudyOf) -> None:
    rows = grid(tables.recommendations(study_of("one_seed")).data)[1:]
    assert len(rows) >= 5
    assert all("@tbl-" in row[2] or "@fig-" in row[2] for row in rows)


def test_layers_are_those_of_the_custom_network(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    rows = grid(tables.layers(study).data)[1:]
    recorded = study.custom.network.layers
    assert [row[0] for row in rows] == [layer["name"] for layer in recorded]
    assert [row[3] for row in rows] == [f"{layer['parameters']:,}" for layer in recorded]
    assert rows[0][2] == "64 × 32 × 32"


def test_tradeoffs_favour_whom_the_measures_favour(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    first, second = pair_of(study)
    rows = {row[0]: row[1:] for row in grid(tables.tradeoffs(study).data)}
    assert rows["What counts"] == [first.label, second.label, "In favour of"]
    scores = [percent(accuracy(group.chosen)) for group in (first, second)]
    assert rows["Accuracy on test"] == [*scores, first.label]
    assert rows["Training"][2] == rows["Parameters"][2] == second.label
    assert rows["Peak memory"][2] == "neither"
    assert rows["Seen before these images"][:2] == ["IMAGENET1K_V1", "nothing"]


def test_a_tie_favours_neither(study_of: StudyOf) -> None:
    rows = {row[0]: row[1:] for row in grid(tables.tradeoffs(study_of("tie")).data)}
    assert rows["Accuracy on test"][2] == "neither"


def test_energy_is_a_column_and_a_row_where_it_was_counted(tmp_path: Path) -> None:
    models = (Made(energy_joules=7200.0), Made("resnet18", "fine_tune", 0.9, energy_joules=36000.0))
    study = Study.from_records(*write_experiment(tmp_path, "made", MadeData(test=400), models))
    header, *rows = grid(tables.cost(study).data)
    assert header[-1] == "Energy"
    assert [row[-1] for row in rows] == [energy(7200), energy(36000)]
    weighed = {row[0]: row[1:] for row in grid(tables.tradeoffs(study).data)}
    assert weighed["Energy to train"] == [energy(36000), energy(7200), "custom_cnn"]


def test_cost_without_energy_has_no_column_for_it(study_of: StudyOf) -> None:
    assert "Energy" not in grid(tables.cost(study_of("one_seed")).data)[0]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("one_model", "tests", "A comparison takes two models."),
        ("perfect", "confused", "No model confused any two classes."),
        ("all_failed", "models", "No run is whole"),
    ],
)
def test_a_table_without_content_says_why(study_of: StudyOf, kind: str, name: str, reason: str) -> None:
    assert getattr(tables, name)(study_of(kind)).data.startswith(f"*{reason}")


def test_agreement_is_counted_from_the_predictions(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    header, *rows = grid(tables.agreement(study).data)
    answers = [predictions(group.chosen) for group in study.models]
    for i, (truth, mine) in enumerate(answers):
        for j, (_, theirs) in enumerate(answers):
            both_wrong = ((mine != truth) & (theirs != truth)).sum()
            expected = percent((mine == theirs).mean()) if j > i else f"{both_wrong:,}"
            assert rows[i][2 + j] == expected
    assert header[2:] == [row[0] for row in rows]


def test_images_that_all_miss_bear_every_answer_and_its_confidence(study_of: StudyOf) -> None:
    study = study_of("failed_run")
    rows = grid(tables.all_miss(study).data)[1:]
    first, second = (group.chosen_test for group in study.models)
    assert rows
    for index, label, said in rows:
        place = int(index)
        assert label == study.classes[first.target[place]]
        for mark, split in zip("AB", (first, second), strict=True):
            answer, sure = split.predicted[place], percent(float(split.probability[place].max()), 0)
            assert answer != first.target[place]
            assert re.search(rf"{study.classes[answer]} \([^)]*{mark}\u00a0{sure}", said)


def test_names_of_classes_stay_names_in_html(study_of: StudyOf) -> None:
    markdown = tables.f1_per_class(study_of("hostile_names")).data
    page = pypandoc.convert_text(markdown, "html", format="markdown")
    first_cells = re.findall(r"<tr[^>]*>\s*<td[^>]*>(.*?)</td>", page, re.DOTALL)
    plain = [
        pypandoc.convert_text(cell, "plain", format="html", extra_args=["--wrap=none"]).strip()
        for cell in first_cells[:2]
    ]
    assert plain == list(HOSTILE_CLASSES[:2])
    assert "<script>" not in page
    assert "<b>bold" not in page


def test_short_tables_leave_their_widths_to_the_page() -> None:
    markdown = table(["A", "B"], [["1", "2"]], "lr").data
    assert max(map(len, markdown.splitlines())) < 72


def test_long_words_wrap_and_numbers_keep_their_room() -> None:
    words = "many words in one cell " * 10
    rule = table(["Text", "No."], [[words, "99.9\u00a0%"]], "lr").data.splitlines()[1]
    text, number = (cell.strip() for cell in rule.strip("|").split("|"))
    assert len(text) + len(number) == ROOM
    assert len(number) == len("99.9 %") + BETWEEN
