"""What the images were: how many, how balanced, what could not be read."""

from pipeline.record import DatasetInfo
from pipeline.report.study import Study
from pipeline.report.words.english import plural
from pipeline.report.words.sentence import Sentence

BALANCED = 1.5  # largest class against smallest, up to which classes count as balanced


def data(study: Study) -> list[Sentence]:
    """Describe the data set."""
    dataset = study.dataset
    if dataset is None:
        return []
    found = [_sizes(study, dataset), _balance(study, dataset), _unreadable(dataset)]
    return [sentence for sentence in found if sentence]


def _sizes(study: Study, dataset: DatasetInfo) -> Sentence:
    sizes = dataset.split_sizes
    note = dataset.split_note.rstrip(".")
    note = f" {note if note[0].isupper() else f'Split: {note}'}." if note else ""
    models = "The model learns" if len(study.models) == 1 else "The models learn"
    classes = plural(len(study.classes), "class", "classes")
    train, val, test = (sizes.get(split, 0) for split in ("train", "val", "test"))
    text = (
        f"{models} from {plural(train, 'image')} in {classes}; {val:,} others "
        f"(val) choose the epoch and {test:,} more (test) judge the result.{note}"
    )
    return Sentence(text, "data.sizes", dict(sizes), ["fig-samples"])


def _balance(study: Study, dataset: DatasetInfo) -> Sentence | None:
    counts = dataset.class_counts.get("train", [])
    if not counts or min(counts) == 0:
        return None
    ratio = max(counts) / min(counts)
    evidence = {"largest": max(counts), "smallest": min(counts)}
    if ratio <= BALANCED:
        text = (
            f"The classes are about balanced, with {min(counts):,} to {max(counts):,} training images each."
        )
        if max(counts) == min(counts):
            text = f"The classes are balanced, with {max(counts):,} training images each."
        return Sentence(text, "data.balanced", evidence, ["fig-balance"])
    large, small = study.classes[counts.index(max(counts))], study.classes[counts.index(min(counts))]
    text = (
        f"The classes are not balanced: “{large}” has {max(counts):,} training images and “{small}” "
        f"{min(counts):,}; macro scores count them alike, accuracy does not."
    )
    return Sentence(text, "data.unbalanced", evidence, ["fig-balance"])


def _unreadable(dataset: DatasetInfo) -> Sentence | None:
    count = len(dataset.unreadable)
    if not count:
        return None
    was = "was" if count == 1 else "were"
    text = f"{plural(count, 'file')} could not be read as an image and {was} left out."
    return Sentence(text, "data.unreadable", {"files": list(dataset.unreadable)}, ["tbl-runs"])
