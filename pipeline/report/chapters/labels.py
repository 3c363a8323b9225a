"""Whose error is it: labels in doubt, and test images that resemble training images."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.evidence.errors import MANY_DOUBTED, LabelIssue, WithoutDuplicates
from pipeline.report.look import floats
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import opened, plural
from pipeline.report.words.numbers import percent, points, points_range
from pipeline.report.words.phrases import all_of, spoken_list
from pipeline.report.words.sentence import Sentence

SECTION = "errors"  # its name in results.json
MOST_LISTED = 12  # images in the table


@dataclass(frozen=True)
class Facts:
    """Labels of test images in doubt, and near-duplicates between test and train."""

    models: Sequence[Model]  # that have learned something, and so may doubt a label
    every: Sequence[Model]
    best: Model  # on val
    images: int  # of test
    issues: Sequence[LabelIssue]
    duplicates: WithoutDuplicates | None  # of the best on val; None where there are none


def facts(study: Study) -> Facts | None:
    """Return what is in doubt; None without a model."""
    best = study.best
    if best is None:
        return None
    issues, without = study.label_issues, best.without_duplicates
    return Facts(study.learned, study.models, best, len(study.targets), issues, without)


def words(study: Study) -> Words:
    """Say which labels are in doubt, and what memory may do."""
    found = facts(study)
    return Words(study, [_labels(found), _duplicates(found)] if found else [])


def _labels(found: Facts) -> Sentence | None:
    if not found.models:
        return None
    issues, images = len(found.issues), found.images
    agreed = sum(issue.unanimous for issue in found.issues)
    evidence = {"suspected": issues, "unanimous": agreed, "images": images}
    if not issues:
        text = "Confident learning finds no test image whose label it would doubt."
        return Sentence(text, "errors.labels.none", evidence)
    agreeing = f"; {_agreeing(found, agreed, issues)}" if len(found.models) > 1 else ""
    warning = "Only a look at the image can tell whether label or model is wrong."
    if issues > MANY_DOUBTED * images:
        warning = "So many doubts may come of weak models as well as of wrong labels."
    text = (
        f"Confident learning doubts the label of {plural(issues, 'test image')} "
        f"({percent(issues / images)} of all){agreeing}. {warning}"
    )
    return Sentence(text, "errors.labels", evidence, ("tbl-label-errors",))


def _agreeing(found: Facts, agreed: int, issues: int) -> str:
    everyone = all_of(found.every) if len(found.models) == len(found.every) else spoken_list(found.models)
    if issues == 1:
        return f"{everyone} {'agree' if agreed else 'do not agree'} on one other class"
    if not agreed:
        return f"for none of them do {everyone} agree on one other class"
    return f"for {'all' if agreed == issues else f'{agreed:,}'} of them {everyone} agree on one other class"


def _duplicates(found: Facts) -> Sentence | None:
    without, best = found.duplicates, found.best
    if without is None:
        return None
    has, it = ("has a copy", "it") if without.removed == 1 else ("have a copy", "them")
    before, after = percent(best.accuracy.value), percent(without.accuracy)
    moved = f"stays at {after}" if before == after else f"is {after} instead of {before}"
    text = (
        f"{opened(plural(without.removed, 'test image'))} "
        f"({percent(without.removed / (without.removed + without.images))} of all) {has} in train; "
        f"without {it} the accuracy of {best.spoken} {moved}"
    )
    text += "." if before == after else f", {points(without.accuracy - best.accuracy.value)} apart."
    evidence = {
        "model": best,
        "near_duplicates": without.removed,
        "accuracy": best.accuracy.value,
        "accuracy_without": without.accuracy,
        "difference": [without.difference.value, without.difference.low, without.difference.high],
    }
    return Sentence(text, "errors.duplicates", evidence, ("tbl-duplicates",))


@floats.table(
    "tbl-label-errors",
    "The chance that the models give the label, on average, and their own answer instead, and whether all of "
    "them give that answer.",
    floats.named("Labels that the models doubt"),
    when=lambda study: study.label_issues,
)
def label_chances(study: Study) -> Table:
    """List the test images whose labels the models doubt most."""
    header = ["Test image", "Label", "Models say", "Chance of the label", "Of their answer", "All models"]
    rows = [
        [
            name(study.image_name(issue.index), 40),
            name(study.classes[issue.target], 30),
            name(study.classes[issue.suggested], 30),
            percent(issue.target_probability),
            percent(issue.suggested_probability),
            "yes" if issue.unanimous else "no",
        ]
        for issue in study.label_issues[:MOST_LISTED]
    ]
    return table(header, rows, "rllrrl")


@floats.table(
    "tbl-duplicates",
    "With and without the test images that have a near-duplicate in train, means over seeds; last: these "
    "twins "
    "minus the others.",
    floats.named("Accuracy without near-duplicates"),
    when=lambda study: any(model.without_duplicates for model in study.models),
)
def duplicates(study: Study) -> Table:
    """List each model's accuracy on test images with and without a near twin in train."""
    header = ["Model", "All test images", "Without twins", "Twins alone", "Twins − others, 95 % interval"]
    rows = [
        [
            name(model.label),
            percent(model.test_accuracy),
            percent(without.accuracy),
            percent(without.accuracy_removed),
            points_range(without.difference.low, without.difference.high),
        ]
        for model in study.models
        if (without := model.without_duplicates)
    ]
    return table(header, rows, "lrrrr")
