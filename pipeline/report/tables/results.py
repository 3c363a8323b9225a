"""Tables of results: learning, pairwise tests, scores per class, confusions."""

from collections import Counter

import numpy as np
from IPython.display import Markdown

from pipeline.report.evidence.learning import Learning
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.tables.markdown import NONE, bold, name, needs_models, nothing, table
from pipeline.report.verdict import pair_of
from pipeline.report.words.english import NBSP, percent, signed

MOST_TESTED = 12  # models in the matrix of tests
MOST_COLUMNS = 10  # models side by side
MOST_PAIRS = 10  # confusions listed
MOST_CLASSES = 30  # classes listed one by one
FIT_WORDS = {
    "overfitting": "overfits",
    "unfinished": "still learning",
    "underfitting": "underfits",
    "balanced": "balanced",
}


@needs_models
def learning(study: Study) -> Markdown:
    """List, for the chosen seed of each model, the epoch that was kept and what the curves show."""
    curves = [(group, group.learning) for group in study.models]
    rows = [_learning(group, found) for group, found in curves if found]
    if not rows:
        return nothing("No run has a training history.")
    header = ["Model", "Kept epoch", "Ended", "Train accuracy", "Val accuracy", "Gap", "Reading"]
    return table(header, rows, "lrlrrrl")


def _learning(group: Model, found: Learning) -> list[str]:
    return [
        name(group.label),
        f"{found.best_epoch} of {found.last_epoch}",
        "early" if found.stopped_early else "as planned",
        percent(found.train_accuracy),
        percent(found.val_accuracy),
        signed(found.gap),
        FIT_WORDS[found.fit],
    ]


@needs_models
def tests(study: Study) -> Markdown:
    """Show every pair: above the diagonal row minus column in points, below it the corrected p value."""
    if len(study.models) < 2:
        return nothing("A comparison takes two models.")
    shown, marks = most_promising(study), letters(study)
    rows = [
        [marks[row.key], name(row.label, 34), *(_pair(study, shown, i, j) for j in range(len(shown)))]
        for i, row in enumerate(shown)
    ]
    return table(["Key", "Model", *(marks[group.key] for group in shown)], rows, "ll" + "r" * len(shown))


def most_promising(study: Study) -> list[Model]:
    """Return as many models as a matrix of pairs holds, the best on val, in params order."""
    best = sorted(study.models, key=lambda group: -group.val_accuracy)[:MOST_TESTED]
    return [group for group in study.models if group in best]


def _pair(study: Study, shown: list[Model], row: int, column: int) -> str:
    if row == column:
        return ""
    test = study.test(shown[row], shown[column])
    if row > column:
        return f"<{NBSP}0.001" if test.p_holm < 0.001 else f"{test.p_holm:.3f}"
    difference = signed(test.difference.value)
    return bold(difference) if test.distinguishable else f"tie ({difference})"


@needs_models
def per_class(study: Study) -> Markdown:
    """List precision, recall and F1 of each class for the two models that the report compares."""
    pair = pair_of(study) or (study.models[0],)
    marks = letters(study)
    header = ["Class", "Images"]
    for group in pair:
        mark = f"{marks[group.key]}: " if len(pair) > 1 else ""
        header += [f"{mark}precision", "recall", "F1"]
    return table(
        header, [_class_row(study, pair, k) for k in listed_classes(study)], "lr" + "rrr" * len(pair)
    )


def _class_row(study: Study, pair: tuple[Model, ...], k: int) -> list[str]:
    scores = [(m.precision[k], m.recall[k], m.f1[k]) for m in (group.metrics for group in pair)]
    images = int(pair[0].metrics.support[k])
    return [name(study.classes[k]), f"{images:,}", *(percent(float(s)) for one in scores for s in one)]


@needs_models
def f1_per_class(study: Study) -> Markdown:
    """List the F1 of each class for every model, the best in bold."""
    shown, marks = study.models[:MOST_COLUMNS], letters(study)
    rows = []
    for k in listed_classes(study):
        scores = [float(group.metrics.f1[k]) for group in shown]
        cells = [bold(percent(score), len(shown) > 1 and score == max(scores)) for score in scores]
        rows.append([name(study.classes[k]), *cells])
    return table(["Class", *(marks[group.key] for group in shown)], rows, "l" + "r" * len(shown))


def listed_classes(study: Study) -> list[int]:
    """Return the classes that tables list: all, or of many those with the lowest mean F1."""
    scores = np.mean([group.metrics.f1 for group in study.models], axis=0)
    hardest = np.argsort(scores, kind="stable")[:MOST_CLASSES]
    return sorted(int(k) for k in hardest) if len(scores) <= MOST_CLASSES else [int(k) for k in hardest]


@needs_models
def confused(study: Study) -> Markdown:
    """List the pairs of classes that are confused most over all models, with each model's count."""
    total: Counter[tuple[int, int]] = Counter()
    for group in study.models:
        total.update({(pair.true, pair.predicted): pair.count for pair in group.most_confused(1000)})
    if not total:
        return nothing("No model confused any two classes.")
    shown, marks = study.models[:MOST_COLUMNS], letters(study)
    rows = [
        [
            name(study.classes[true], 30),
            name(study.classes[predicted], 30),
            *(str(group.metrics.confusion_matrix[true, predicted] or NONE) for group in shown),
        ]
        for (true, predicted), _ in total.most_common(MOST_PAIRS)
    ]
    return table(
        ["Label", "Taken for", *(marks[group.key] for group in shown)], rows, "ll" + "r" * len(shown)
    )
