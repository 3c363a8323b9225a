"""The model card of a run, in the form of the Hugging Face Hub, made from its records alone.

What a card should say is Mitchell et al. 2019 (arXiv 1810.03993); what nobody but its author knows, as
licences, is left to fill in and marked so.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import EvalResult, ModelCardData
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from pipeline import __version__
from pipeline.confidence import SURE, fit_temperature, scale, unsure_below
from pipeline.errors import InputError, one_line
from pipeline.inference.dataset import about
from pipeline.inference.source import Chosen
from pipeline.record import RunRecord, SplitPredictions

MARK = "<!-- written by headstart card -->"  # a file without it is somebody's own
TO_FILL = "*to fill in*"
MOST_CLASSES = 30


def check_output(path: Path) -> None:
    """Raise InputError for a card that cannot be written, or that would replace a file of somebody's own."""
    if path.suffix.lower() != ".md":
        raise InputError(f"{path}: a model card must end in .md.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: no such folder to write to.")
    if path.exists() and not is_card(path):
        raise InputError(f"{path}: is there, and no card that Headstart wrote. Name another with -o.")


def is_card(path: Path) -> bool:
    """Whether a file is a card that may be written anew."""
    try:
        return MARK in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def beside(export: Path) -> Path:
    """Return where the card of an exported file goes: README.md, unless that is somebody's own."""
    path = export.with_name("README.md")
    return path if not path.exists() or is_card(path) else export.with_suffix(".md")


def card(chosen: Chosen, export: Sequence[str] = (), library: str = "headstart") -> str:
    """Return the card of a run as Markdown; ``export`` are lines on the file beside it, of a ``library``."""
    record = chosen.record
    network = record.details.model
    parts = [
        f"---\n{_metadata(chosen, library)}\n---\n{MARK}",
        f"# {chosen.label}, on {_plain(record.settings.data_name)}",
        _sentence(network.description) if network and network.description else "",
        _intended(record),
        _exported(export),
        _data(record),
        _training(record),
        _results(record),
        _choice(chosen),
        _limits(record),
        _licence(record),
        f"Made by Headstart {__version__} from the records of run `{record.run_id}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(chosen: Chosen, library: str) -> str:
    record, data = chosen.record, chosen.record.settings.data_name
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=_slug(data),
            dataset_name=data,
            dataset_split="test",
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 4),
        )
        for kind, name, value in _scores(record.split("test"))
    ]
    network = record.details.model
    pretrained = network is not None and record.settings.pretrained
    metadata = ModelCardData(
        license="unknown",
        library_name=library,
        pipeline_tag="image-classification",
        base_model=_base_model(record) if pretrained else None,
        datasets=[_slug(data)],
        metrics=["accuracy", "f1"],
        model_name=record.run_id,
        eval_results=results,
        tags=["headstart", record.settings.mode],
    )
    return str(metadata.to_yaml()).strip()


def _base_model(record: RunRecord) -> str:
    """Return what the weights were before: timm's id of the Hub, or else their name, written like an id."""
    model, network = record.settings.model, record.details.model
    if model.startswith("timm/"):
        return model
    name = (network.weights_name if network else None) or model
    return re.sub(r"[^\w.]+|\.{2,}", "-", name, flags=re.ASCII)[:96].strip("-.") or "own-weights"


def _scores(split: SplitPredictions) -> list[tuple[str, str, float]]:
    f1 = f1_score(split.target, split.predicted, average="macro", zero_division=0.0)
    return [("accuracy", "Accuracy", float(split.correct.mean())), ("f1", "Macro F1", float(f1))]


def _intended(record: RunRecord) -> str:
    data, names = record.settings.data_name, record.classes
    shown = ", ".join(_plain(name) for name in names[:MOST_CLASSES])
    more = f" and {len(names) - MOST_CLASSES:,} more" if len(names) > MOST_CLASSES else ""
    return (
        f"## Intended use\n\nTo say which of {len(names):,} classes an image like those of "
        f"{_plain(data)} shows: {shown}{more}. It answers with one of these for any image, also where "
        f"none of them is right. Who it is for, and what must not be decided by it: {TO_FILL}.\n\n"
        "```python\nfrom pipeline.inference import Predictor\n\n"
        f'answers = Predictor.from_run("runs/{record.run_id}")(["image.jpg"])\n'
        "answers.prediction, answers.probability, answers.unsure, answers.unlike_training\n```"
    )


def _exported(lines: Sequence[str]) -> str:
    return "## The file beside this card\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _data(record: RunRecord) -> str:
    data = about(record)
    counts = {split: np.array(found) for split, found in data.class_counts.items()}
    rows = [
        f"| {split} | {size:,} | {_fewest(counts.get(split))} |" for split, size in data.split_sizes.items()
    ]
    said = [f"Source: {_plain(data.source)}." if data.source else ""]
    said += [_sentence(data.split_note)] if data.split_note else []
    if data.unreadable:
        said.append(f"{len(data.unreadable):,} unreadable files were left out.")
    said += [_sentence(note) for note in data.notes]
    if data.near_duplicates:
        said.append(f"{len(data.near_duplicates):,} test images are copies of training images.")
    table = "\n".join(["| split | images | images of a class |", "|---|--:|--:|", *rows])
    return (
        f"## Data\n\n{table}\n\n{' '.join(filter(None, said))}\n\nFingerprint of the data: "
        f"`{data.fingerprint}`. Who collected them, how, and with whose consent: {TO_FILL}."
    )


def _fewest(counts: np.ndarray | None) -> str:
    if counts is None or not len(counts):
        return "–"
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _training(record: RunRecord) -> str:
    details, settings = record.details, record.settings.effective()
    lines = [
        f"| {name} | {_plain(_shown(value))} |" for name, value in settings.items() if name != "data_dir"
    ]
    said = []
    if (network := details.model) is not None:
        said.append(
            f"{network.total_parameters:,} parameters, {network.trainable_parameters:,} of them trained; "
            f"it sees images of {network.input_size} × {network.input_size} pixels."
        )
        if network.weights_name:
            digest = f" (SHA-256 {network.weights_hash[:16]}…)" if network.weights_hash else ""
            said.append(f"It started from {_plain(network.weights_name)}{digest}.")
    if details.timings is not None:
        said.append(f"Training took {details.timings.train_seconds:,.0f} s")
        where = details.environment
        said[-1] += f" on {_plain(where.cpu if where.device == 'cpu' else where.device)}" if where else ""
        said[-1] += f" in {where.precision}." if where else "."
        if details.timings.energy_joules:
            said.append(f"That took {details.timings.energy_joules / 3600:,.1f} Wh.")
    table = "\n".join(["| setting | value |", "|---|---|", *lines])
    return f"## Training\n\n{' '.join(said)}\n\n<details><summary>Settings</summary>\n\n{table}\n\n</details>"


def _results(record: RunRecord) -> str:
    val, test = record.split("val"), record.split("test")
    rows = [f"| {name} | {_share(split.correct)} |" for name, split in (("val", val), ("test", test))]
    table = "\n".join(["| split | accuracy, 95 % interval (Wilson) |", "|---|---|", *rows])
    below = unsure_below(val)
    sure = scale(test, fit_temperature(val)).probability.max(axis=1) >= below.confidence
    said = f"Macro F1 on test: {_scores(test)[1][2]:.3f}."
    if sure.any():
        said += (
            f" Of the answers to test images with a calibrated probability of at least {below.confidence} "
            f"({100 * sure.mean():.1f} % of all), {_share(test.correct[sure])} are right; below it an answer "
            f"is called unsure ({below.reason})."
        )
    return f"## Results\n\n{table}\n\n{said}\n\n{_by_class(record, test)}"


def _by_class(record: RunRecord, test: SplitPredictions) -> str:
    present = [k for k in range(len(record.classes)) if (test.target == k).any()]
    recall = {k: float(test.correct[test.target == k].mean()) for k in present}
    shown = sorted(present, key=lambda k: recall[k])[:MOST_CLASSES]
    rows = [f"| {_plain(record.classes[k])} | {_share(test.correct[test.target == k])} |" for k in shown]
    less = f" (the {MOST_CLASSES} least found)" if len(present) > len(shown) else ""
    return "\n".join([f"| class{less} | found, 95 % interval |", "|---|---|", *rows])


def _share(right: np.ndarray) -> str:
    low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return f"{100 * right.mean():.1f} % of {len(right):,} ({100 * low:.1f} to {100 * high:.1f} %)"


def _choice(chosen: Chosen) -> str:
    record = chosen.record
    if chosen.models is None:
        how = "It was named by its run; by what it was preferred to others is not recorded."
    elif chosen.named:
        how = f"It was named among the {chosen.models} models of the report, by whoever exported it."
    else:
        how = f"It is the best on val of the {chosen.models} models of the report."
    if chosen.seeds > 1:
        how += f" Of its {chosen.seeds} seeds this is the one that did best on val."
    best = record.details.best_epoch
    epoch = f" Its weights are those after epoch {best}, where val loss was lowest." if best else ""
    return f"## How it was chosen\n\n{how}{epoch} Test images had no part in any of these choices."


def _limits(record: RunRecord) -> str:
    """Return what the records show of where the numbers end."""
    data, test = about(record), record.split("test")
    said = [
        "The scores are for images drawn as these test images were. Elsewhere (other cameras, places, times "
        "or groups of people) it was not tested here."
    ]
    counts = np.bincount(test.target, minlength=len(record.classes))
    if few := [record.classes[k] for k in np.flatnonzero(counts < 30)]:
        said.append(
            f"Classes with fewer than 30 test images, so that little is known of them: {len(few):,} of "
            f"{len(counts):,}."
        )
    if data.near_duplicates:
        said.append("Copies of training images among the test images make the scores look better.")
    wrong = test.probability.max(axis=1)[~test.correct]
    if (sure := int((wrong >= SURE).sum())) > 0:
        said.append(
            f"{sure:,} of its {len(wrong):,} mistakes on test bear a probability of at least {SURE}, "
            "before the temperature."
        )
    said.append("An interval covers the choice of test images, not the luck of this training.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in said)


def _licence(record: RunRecord) -> str:
    lines = [f"- Licence of this model: {TO_FILL} (`license` above is `unknown` until then)"]
    lines.append(f"- Licence of the data {_plain(record.settings.data_name)}: {TO_FILL}")
    if record.settings.pretrained:
        lines.append(f"- Licence of the pretrained weights {_plain(_base_model(record))}: {TO_FILL}")
    lines.append(f"- Author and contact: {TO_FILL}")
    return "## Licence and contact\n\n" + "\n".join(lines)


def _slug(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return kept or "own-images"


def _plain(text: str) -> str:
    """Return text that is nothing but text in Markdown, in a table too."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~$" else c for c in one_line(text, 300))


def _sentence(text: str) -> str:
    said = _plain(text)
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?")) else ".")


def _shown(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
