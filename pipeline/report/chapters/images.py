"""The images: what they look like, how many there are, how balanced, what augmentation makes of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pipeline.record import DatasetInfo
from pipeline.report.look import floats, theme
from pipeline.report.look.cards import MUTED, Card, Line, cards
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Drawn, Table, name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, opened, plural
from pipeline.report.words.phrases import spoken_list
from pipeline.report.words.sentence import Sentence

SECTION = "data"  # its name in results.json
BALANCED = 1.5  # largest class against smallest, up to which classes count as balanced
MOST_STRIPS = 20  # classes of which images are shown
SAMPLES = 3  # images of each
MOST_BARS = 30


@dataclass(frozen=True)
class Facts:
    """Counts of images."""

    sizes: dict[str, int]  # by split
    split_note: str  # how they were split
    train: tuple[int, int]  # images that the models learned from: the fewest and the most
    train_counts: Sequence[int]  # by class
    unreadable: Sequence[str]  # files
    notes: Sequence[str]  # what was left out, scaled, or lost on the way to the network
    classes: Sequence[str]
    models: int

    @classmethod
    def of(cls, study: Study, dataset: DatasetInfo) -> "Facts":
        return cls(
            sizes=dict(dataset.split_sizes),
            split_note=dataset.split_note.rstrip("."),
            train=_learned_from(study, dataset),
            train_counts=dataset.class_counts.get("train", []),
            unreadable=list(dataset.unreadable),
            notes=list(dataset.notes),
            classes=study.classes,
            models=len(study.models),
        )


def _learned_from(study: Study, dataset: DatasetInfo) -> tuple[int, int]:
    counts = [model.train_images for model in study.models]
    known = [count for count in counts if count is not None] or [dataset.split_sizes.get("train", 0)]
    return min(known), max(known)


def facts(study: Study) -> Facts | None:
    """Return the counts; None where the runs did not record them."""
    return Facts.of(study, study.dataset) if study.dataset else None


def words(study: Study) -> Words:
    """Say how many images there are, how balanced, and what could not be read."""
    found = facts(study)
    say = (_sizes, _balance, _unreadable, note_words)
    return Words(study, [*(one(found) for one in say if found), *augmentation_words(study)])


def augmentation_words(study: Study) -> Words:
    """Say what was done to training images, and for which models and epochs."""
    if not study.models:
        return Words(study, [])
    changed = [model for model in study.models if _shows_changed(model)]
    if not changed:
        text = "Training changed no image at random."
        return Words(study, [Sentence(text, "data.augmentation.none", {"models": []})])
    kinds = list(
        dict.fromkeys(kind.replace("_", " ") for model in changed for kind in model.settings.augmentation)
    )
    alike = len({tuple(model.settings.augmentation) for model in changed}) == 1
    text = _who_sees_what(study, changed, join(kinds) if alike else f"{join(kinds)}, not the same for all")
    heads = [model for model in changed if model.mode == "fine_tune" and model.settings.head_epochs]
    if heads:
        text += "; while its new last layer learns alone, fine-tuning uses features of unchanged ones"
    unmixed = [model for model in changed if model.mode == "linear_probe" and _mixes(model)]
    if unmixed or any(_mixes(model) for model in heads):
        text += "; what learns from features computed once never sees images that are mixed with others"
    evidence = {"models": changed, "kinds": kinds}
    return Words(study, [Sentence(f"{text}.", "data.augmentation", evidence, ("fig-samples",))])


def _who_sees_what(study: Study, changed: Sequence[Model], kinds: str) -> str:
    """Say who sees each image changed anew, and who a few views of it whose features were computed once."""
    viewed = [model for model in changed if model.mode == "linear_probe"]
    anew = [model for model in changed if model not in viewed]
    unchanged = [model for model in study.models if model not in changed]
    few = bool(unchanged) and not viewed and len(unchanged) < len(anew)  # so that they are the ones to name
    parts = []
    if anew:
        who = "" if len(anew) == len(study.models) else f" of {spoken_list(anew)}"
        who = f" of all but {spoken_list(unchanged)}" if few else who
        parts.append(f"In training{who}, images are changed each time they are shown ({kinds})")
    if viewed:
        views = join([str(n) for n in sorted({model.settings.feature_views for model in viewed})], "or")
        draws, what = "draws" if len(viewed) == 1 else "draw", "" if anew else f" ({kinds})"
        who = spoken_list(viewed) if anew else opened(spoken_list(viewed))
        parts.append(
            f"{who} {draws} from {views} views of each image, one as it is and the rest changed{what}"
        )
    if unchanged and not few:
        parts.append("the other models saw them as they are")
    return "; ".join(parts)


def _mixes(model: Model) -> bool:
    return bool({"mixup", "cutmix"} & set(model.settings.augmentation))


def _shows_changed(model: Model) -> bool:
    """Whether some epoch showed changed images: a probe of one view learns from features computed once."""
    recorded = model.chosen.history.get("augmented")
    if recorded is not None and recorded.notna().any():
        return bool(recorded.fillna(False).astype(bool).any())
    settings = model.settings
    cached = settings.mode == "linear_probe" and settings.feature_views == 1
    return bool(settings.augmentation) and not cached


def _sizes(found: Facts) -> Sentence:
    note = found.split_note
    note = f" {note if note[0].isupper() else f'Split: {note}'}." if note else ""
    learn = "The model learns" if found.models == 1 else "The models learn"
    val, test = (found.sizes.get(split, 0) for split in ("val", "test"))
    fewest, most = found.train
    train = plural(most, "image") if fewest == most else f"{fewest:,} to {plural(most, 'image')}"
    text = (
        f"{learn} from {train} in {plural(len(found.classes), 'class', 'classes')}; {val:,} "
        f"others (val) choose the epoch and {test:,} more (test) judge the result.{note}"
    )
    return Sentence(text, "data.sizes", found.sizes, ("fig-samples",))


def _balance(found: Facts) -> Sentence | None:
    counts = found.train_counts
    if not counts or min(counts) == 0:
        return None
    most, fewest = max(counts), min(counts)
    evidence, references = {"largest": most, "smallest": fewest}, ("fig-balance",)
    if most / fewest > BALANCED:
        large, small = (found.classes[counts.index(count)] for count in (most, fewest))
        text = (
            f"The classes are not balanced: “{large}” has {most:,} training images and “{small}” {fewest:,}; "
            "macro scores count them alike, accuracy does not."
        )
        return Sentence(text, "data.unbalanced", evidence, references)
    text = f"The classes are about balanced, with {fewest:,} to {most:,} training images each."
    if most == fewest:
        text = f"The classes are balanced, with {most:,} training images each."
    return Sentence(text, "data.balanced", evidence, references)


def _unreadable(found: Facts) -> Sentence | None:
    count = len(found.unreadable)
    if not count:
        return None
    was = "was" if count == 1 else "were"
    text = f"{plural(count, 'file')} could not be read as an image and {was} left out."
    return Sentence(text, "data.unreadable", {"files": found.unreadable}, ("tbl-runs",))


def note_words(found: Facts) -> Sentence | None:
    """Say what the runs noted of the images: what was left out, scaled, or lost on the way to a square."""
    if not found.notes:
        return None
    return Sentence(" ".join(found.notes), "data.notes", {"notes": found.notes}, ())


def _of_kind(gallery: pd.DataFrame, kind: str) -> pd.DataFrame:
    return gallery[gallery["kind"] == kind]


def _has_samples(study: Study) -> bool:
    return not _of_kind(study.models[0].chosen.gallery, "sample").empty


def _title(study: Study) -> str:
    """Say how many classes there are, and what the best network sees of an image."""
    best = study.best or study.models[0]
    size = (
        f": {letters(study)[best.key]} sees {best.network.input_size} pixels a side" if best.network else ""
    )
    return f"{plural(len(study.classes), 'class', 'classes')}{size}"


@floats.figure(
    "fig-samples",
    "Training images by label; below, one image on its way into the network.",
    _title,
    when=_has_samples,
    data=lambda study: _listed(study),
    wide=True,
)
def samples(study: Study) -> Drawn:
    """Show training images with their labels, and the way of one from its file into the best network."""
    every = [
        Card(list(of_class["png"]), f"labelled {study.classes[target]}",
             [Line(short(study.classes[target], 60))])
        for target, of_class in _samples(study)
    ]  # fmt: skip
    parts = [cards(every, columns=5), _strip(study)]
    return Drawn("".join(part.page for part in parts), "\n".join(part.paper for part in parts))


def _samples(study: Study) -> list[tuple[int, pd.DataFrame]]:
    """Return the images shown of each class that is shown."""
    gallery = _of_kind(study.models[0].chosen.gallery, "sample")
    shown = sorted(set(gallery["target"]))[:MOST_STRIPS]
    return [(target, gallery[gallery["target"] == target][:SAMPLES]) for target in shown]


def _listed(study: Study) -> Table:
    """List the same images: number among the training images, file, label."""
    rows = [
        [str(index), name(file, 300), name(study.classes[target], 300)]
        for target, of_class in _samples(study)
        for index, file in zip(of_class["index"], of_class["file"], strict=True)
    ]
    return table(["Image", "File", "Label"], rows, "rll")


def _strip(study: Study) -> Drawn:
    """Show one image from file to network: resized, changed in training, normalised."""
    model = _augmented_model(study) or study.best or study.models[0]
    gallery = model.chosen.gallery
    views, originals = _of_kind(gallery, "augmented"), _of_kind(gallery, "sample")
    index = views["index"].iloc[0] if len(views) else originals["index"].iloc[0]
    png = [originals["png"][originals["index"] == index].iloc[0]]
    changed = [kind.replace("_", " ") for kind in model.settings.augmentation] if len(views) else []
    size, native = model.network and model.network.input_size, study.dataset and study.dataset.native_size
    from_file = f"{native[1]} × {native[0]} pixels" if native else "of its own size"
    whose = "of the training images" if model.normalised_by_data else "that the published weights ask for"
    steps = [
        Card(png, "an image as in its file", [Line("File"), Line(from_file, MUTED)]),
        Card(png, "the image, resized",
             [Line("Resized"), Line(f"{size} × {size} pixels" if size else "", MUTED)]),
        *([Card(list(views["png"][views["index"] == index][:2]), "the image, changed in training",
                [Line("Changed anew each epoch"), Line(", ".join(changed), MUTED)])] if changed else []),
        Card([_normalised(png[0])], "the image, normalised",
             [Line("Normalised"), Line(f"by mean and spread {whose}", MUTED)]),
    ]  # fmt: skip
    return cards(steps, columns=len(steps), arrows=True)


def _normalised(png: bytes) -> bytes:
    """Return an image with each channel at mean zero and spread one, drawn from −2 to 2 about grey."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
    scaled = (pixels - pixels.mean(axis=(0, 1))) / np.maximum(pixels.std(axis=(0, 1)), 1)
    file = io.BytesIO()
    Image.fromarray(np.clip(127.5 + 63.75 * scaled, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _augmented_model(study: Study) -> Model | None:
    ranked = sorted(study.models, key=lambda model: model is not study.best)
    return next((model for model in ranked if _shows_changed(model)), None)


def _uneven(study: Study) -> bool:
    counts = study.dataset.class_counts.get("train", []) if study.dataset else []
    return bool(counts) and max(counts) > BALANCED * min(counts)


def _counts(study: Study) -> Table:
    counts = study.dataset.class_counts if study.dataset else {}
    rows = [[name(k, 300), *(str(of[i]) for of in counts.values())] for i, k in enumerate(study.classes)]
    return table(["Class", *counts], rows, "l" + "r" * len(counts))


@floats.figure(
    "fig-balance",
    "To train on, to choose by (val) and to judge by (test).",
    floats.named("How many images of each class there are"),
    when=_uneven,
    alternative="Bar charts of the number of images per class in train, val and test, with the counts at "
    "the bars.",
    data=lambda study: _counts(study),
)
def balance(study: Study) -> Figure:
    """Draw how many images each class has in train, val and test."""
    counts = study.dataset.class_counts if study.dataset else {}
    few = len(study.classes) <= MOST_BARS
    drawing = theme.figure(0.6 + 0.24 * len(study.classes) if few else 2.6)
    every = drawing.subplots(1, len(counts), sharey=few, squeeze=False)[0]
    draw = _draw_bars if few else _draw_profile
    for axes, (split, of_class) in zip(every, counts.items(), strict=True):
        draw(axes, of_class, study.classes)
        axes.set_title(f"{split}: {sum(of_class):,}")
    return drawing


def _draw_bars(axes: Axes, counts: Sequence[int], classes: Sequence[str]) -> None:
    places = np.arange(len(counts))
    axes.barh(places, counts, height=0.7, color=theme.BAR.light)
    axes.set_yticks(places, [short(words, 22) for words in classes])
    axes.set(ylim=(len(counts) - 0.5, -0.5), xlim=(0, 1.3 * max([*counts, 1])), xticks=[])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(left=False)
    for place, count in zip(places, counts, strict=True):
        axes.annotate(f"{count:,}", (count, place), (3, 0), textcoords="offset points", va="center", size=9)


def _draw_profile(axes: Axes, counts: Sequence[int], classes: Sequence[str]) -> None:
    ordered = np.sort(counts)[::-1]
    axes.fill_between(np.arange(1, len(ordered) + 1), ordered, step="mid", color=theme.BAR.light, lw=0)
    axes.set(
        xlabel="classes, largest first", ylim=(0, 1.15 * max(*ordered, 1)), xlim=(0.5, len(ordered) + 0.5)
    )
