"""Tables of further evidence: doubtful labels, near-duplicates, calibration, cost."""

from IPython.display import Markdown

from pipeline.report.evidence.costs import Cost
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.tables.markdown import NONE, name, needs_models, nothing, table
from pipeline.report.words.english import (
    data_size,
    duration,
    energy,
    latency,
    percent,
    points_range,
    quantity,
    signed,
)

MOST_LABELS = 12


@needs_models
def label_errors(study: Study) -> Markdown:
    """List the test images whose labels the models doubt most."""
    if not study.label_issues:
        return nothing("No label of a test image is in doubt.")
    header = ["Test image", "Label", "Models say", "Chance of the label", "Of their answer", "All models"]
    rows = [
        [
            str(issue.index),
            name(study.classes[issue.target], 30),
            name(study.classes[issue.suggested], 30),
            percent(issue.target_probability),
            percent(issue.suggested_probability),
            "yes" if issue.unanimous else "no",
        ]
        for issue in study.label_issues[:MOST_LABELS]
    ]
    return table(header, rows, "rllrrl")


@needs_models
def duplicates(study: Study) -> Markdown:
    """List each model's accuracy on test images with and without a near twin in train."""
    found = [(group, group.without_duplicates) for group in study.models]
    rows = [
        [
            name(group.label),
            percent(group.test_accuracy),
            percent(without.accuracy),
            percent(without.accuracy_removed),
            points_range(without.difference.low, without.difference.high),
        ]
        for group, without in found
        if without
    ]
    if not rows:
        looked = study.dataset is not None and study.dataset.near_duplicates_note
        if looked:
            return nothing("No test image was found to have a near-duplicate in train.")
        return nothing("Nobody looked for near-duplicates between test and train.")
    header = ["Model", "All test images", "Without twins", "Twins alone", "Twins − others, 95 % interval"]
    return table(header, rows, "lrrrr")


@needs_models
def calibration(study: Study) -> Markdown:
    """List how far each model's confidence is from the truth, and what one temperature mends."""
    header = [
        "Model",
        "ECE",
        "By chance",
        "Too sure by",
        "Temperature",
        "ECE after",
        "Of “about 90 %”, right",
    ]
    return table(header, [_calibration(group) for group in study.models], "lrrrrrr")


def _calibration(group: Model) -> list[str]:
    found, meaning = group.calibration, group.meaning(0.9)
    right = f"{percent(meaning.accuracy.value, 0)} of {meaning.images}" if meaning else NONE
    return [
        name(group.label),
        percent(found.before.ece),
        percent(found.before.ece_expected),
        signed(found.before.gap.value),
        f"{found.temperature:.2f}",
        percent(found.after.ece),
        right,
    ]


@needs_models
def cost(study: Study) -> Markdown:
    """List what each model takes to keep, to train and to ask."""
    costs = [(group, group.cost) for group in study.models]
    rows = [_cost(group, found) for group, found in costs if found]
    if not rows:
        return nothing("No run measured what it cost.")
    header = ["Model", "Weights", "MACs", "Training", "One image", "Images/s", "Memory", "Energy"]
    if all(row[-1] == NONE for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return table(header, rows, "l" + "r" * (len(header) - 1))


def _cost(group: Model, found: Cost) -> list[str]:
    return [
        name(group.label),
        data_size(found.parameter_bytes),
        quantity(found.macs),
        duration(found.train_seconds.value),
        latency(found.latency_seconds.value),
        f"{found.throughput.value:,.0f}",
        data_size(found.peak_memory_bytes.value),
        energy(found.energy_joules.value) if found.energy_joules else NONE,
    ]
