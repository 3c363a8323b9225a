"""How they learned: the curves, over- and underfitting, early stopping.

The rules that name a way of learning are in evidence/learning.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.record import RunRecord
from pipeline.report.evidence.learning import BY_HEART, Fit, Learning
from pipeline.report.look import floats, theme
from pipeline.report.look.floats import NOTHING
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened
from pipeline.report.words.numbers import NBSP, percent, signed
from pipeline.report.words.phrases import each_or_span, spoken_list
from pipeline.report.words.sentence import Sentence

MOST_STOPS = 3  # early stops that are told one by one
REFERENCES = ("fig-curves", "tbl-learning")
FIT_WORDS = {
    "overfitting": "overfits",
    "unfinished": "still learning",
    "underfitting": "underfits",
    "balanced": "balanced",
    "unknown": "too few val images to tell",
}


@dataclass(frozen=True)
class Learner:
    """A model and what the curves of its chosen seed show."""

    model: Model
    curve: Learning

    @property
    def evidence(self) -> dict[str, Any]:
        found = self.curve
        return {
            "fit": found.fit,
            "train_accuracy": found.train_accuracy,
            "val_accuracy": found.val_accuracy,
            "best_epoch": found.best_epoch,
            "last_epoch": found.last_epoch,
            "val_loss_rise": found.rise,
        }


@dataclass(frozen=True)
class Facts:
    """The models that have a training history."""

    learners: Sequence[Learner]

    def of(self, fit: Fit) -> list[Learner]:
        return [one for one in self.learners if one.curve.fit == fit]


def facts(study: Study) -> Facts:
    """Return what the curves of each model show."""
    return Facts([Learner(model, found) for model in study.models if (found := model.learning)])


def words(study: Study) -> Words:
    """Say how the models learned, and by what an epoch was kept."""
    return Words(study, [*curve_words(study), *epoch_words(study)])


def curve_words(study: Study) -> Words:
    """Say how the models learned, a sentence per way of learning that occurs."""
    found = facts(study)
    models = len(found.learners)
    sentences = [
        _overfitting(found.of("overfitting")),
        _unfinished(found.of("unfinished"), models),
        _underfitting(found.of("underfitting")),
        _balanced(found.of("balanced"), models),
        _unknown(found.of("unknown")),
        _of_the_head([one for one in found.learners if one.model.mode == "fine_tune"]),
    ]
    return Words(study, sentences, told=REFERENCES)


def epoch_words(study: Study) -> Words:
    """Say which models stopped before their last epoch, and by what each kept its epoch."""
    learners = facts(study).learners
    early = [one for one in learners if one.curve.stopped_early]
    return Words(study, [_stopping(early, len(learners)), _kept(learners)], told=REFERENCES)


def seed_words(study: Study) -> Markdown:
    """Say what a score of several seeds is, and which of them speaks where only one can."""
    counts = {len(model.records) for model in study.models}
    if not counts or max(counts) < 2:
        return Markdown(NOTHING)
    often = "twice" if max(counts) == 2 else f"{number_word(max(counts))} times"
    return Markdown(
        f"Each model was trained {'up to ' if len(counts) > 1 else ''}{often}, from different seeds. "
        "Scores are means over seeds. Where one run must speak for its model, as in a confusion matrix, it "
        "is the one with the best val accuracy, the chosen seed."
    )


def _said(text: str, way: str, learners: Sequence[Learner]) -> Sentence:
    evidence = {one.model: one.evidence for one in learners}
    return Sentence(text, f"learning.{way}", evidence, REFERENCES)


def _names(learners: Sequence[Learner]) -> str:
    return spoken_list([one.model for one in learners])


def _verb(learners: Sequence[Learner], one: str, many: str) -> str:
    return one if len(learners) == 1 else many


def _overfitting(learners: Sequence[Learner]) -> Sentence | None:
    by_gap = [one for one in learners if one.curve.ahead_on_train]
    by_loss = [one for one in learners if not one.curve.ahead_on_train]
    heart = [one for one in by_loss if one.curve.last_gap > max(BY_HEART, one.curve.val_noise)]
    worse = [one for one in by_loss if one not in heart and _answers_worse(one)]
    surer = [one for one in by_loss if one not in worse and one not in heart]
    parts = [_gap_words(by_gap), _heart_words(heart), _loss_words(worse), _surer_words(surer)]
    parts = [part for part in parts if part]
    return _said(f"{opened('; '.join(parts))}.", "overfitting", learners) if parts else None


def _answers_worse(one: Learner) -> bool:
    """Whether answers on val may have got worse: of weighed classes the accuracy does not tell."""
    weighed = one.model.settings.class_weights or one.model.settings.sampler
    return bool(weighed) or one.curve.last_val_accuracy < one.curve.val_accuracy


def _gap_words(learners: Sequence[Learner]) -> str:
    if not learners:
        return ""
    gaps = each_or_span([one.curve.gap for one in learners], lambda gap: f"{100 * gap:.1f}")
    when = _verb(learners, "at its best epoch it is", "at their best epochs they are")
    overfits = _verb(learners, "overfits", "overfit")
    return f"{_names(learners)} {overfits}: {when} {gaps}{NBSP}points better on train than on val"


def _heart_words(learners: Sequence[Learner]) -> str:
    """Say of runs whose kept epoch is still alike on train and val what the later ones did."""
    if not learners:
        return ""
    gaps = each_or_span([one.curve.last_gap for one in learners], lambda gap: f"{100 * gap:.1f}")
    overfits = _verb(learners, "overfits", "overfit")
    its, it_is = _verb(learners, "its", "their"), _verb(learners, "it was", "they were")
    return (
        f"{_names(learners)} {overfits} after the kept epoch: at the end {it_is} {gaps}{NBSP}points better "
        f"on train than on val, where {its} loss had risen"
    )


def _loss_words(learners: Sequence[Learner]) -> str:
    if not learners:
        return ""
    rises = each_or_span([one.curve.rise for one in learners], lambda rise: percent(rise, 0))
    epochs = each_or_span([one.curve.best_epoch for one in learners], lambda epoch: f"{epoch:.0f}")
    when = f"{'epoch' if epochs.isdigit() else 'epochs'} {epochs}"
    after = f"{when} {_verb(learners, 'its val loss', 'their val losses')}"
    overfits = _verb(learners, "overfits", "overfit")
    return f"{_names(learners)} {overfits}: after {after} rose by {rises} while the train loss fell"


def _surer_words(learners: Sequence[Learner]) -> str:
    """Say what a rising val loss is where the answers on val did not get worse: confidence."""
    if not learners:
        return ""
    rises = each_or_span([one.curve.rise for one in learners], lambda rise: percent(rise, 0))
    grows = _verb(learners, "grows too sure of itself", "grow too sure of themselves")
    its = _verb(learners, "its", "their")
    return (
        f"{_names(learners)} {grows}: after the kept epoch {its} val loss rose by {rises} while {its} val "
        "accuracy did not fall, so what got worse is the confidence and not the answers"
    )


def _unfinished(learners: Sequence[Learner], models: int) -> Sentence | None:
    if not learners:
        return None
    start = f"{opened(_names(learners))} had not finished learning"
    if len(learners) == models > 2:
        start = f"None of the {number_word(models)} models had finished learning"
    text = (
        f"{start}: the val loss was still falling in the last epochs, so more epochs might give "
        f"{_verb(learners, 'it', 'them')} more."
    )
    return _said(text, "unfinished", learners)


def _underfitting(learners: Sequence[Learner]) -> Sentence | None:
    if not learners:
        return None
    reached = each_or_span([one.curve.train_accuracy for one in learners], percent)
    text = (
        f"{opened(_names(learners))} {_verb(learners, 'underfits', 'underfit')}: even on the training images "
        f"{_verb(learners, 'it reaches', 'they reach')} only {reached}, about as on val. Frozen layers, "
        "too few parameters or epochs, or strong regularisation may be why."
    )
    return _said(text, "underfitting", learners)


def _balanced(learners: Sequence[Learner], models: int) -> Sentence | None:
    if not learners:
        return None
    shows = _verb(learners, "shows", "show")
    text = f"{opened(_names(learners))} {shows} neither over- nor underfitting by these rules."
    if len(learners) == models > 1:
        text = "No model shows over- or underfitting by these rules."
    return _said(text, "balanced", learners)


def _unknown(learners: Sequence[Learner]) -> Sentence | None:
    if not learners:
        return None
    who = _verb(learners, "it over- or underfits", "they over- or underfit")
    text = f"Of {_names(learners)} the val images are too few to tell whether {who}."
    return _said(text, "unknown", learners)


def _stopping(stopped: Sequence[Learner], models: int) -> Sentence | None:
    if not stopped:
        return None
    kept = "and the epoch with the lowest val loss was kept"
    run = "the chosen run" if any(len(one.model.records) > 1 for one in stopped) else "the run"
    if len(stopped) == models > 2:
        text = f"Early stopping ended {run} of every model, {kept}."
    elif len(stopped) > MOST_STOPS:
        text = (
            f"Early stopping ended {run} of {number_word(len(stopped))} of the {number_word(models)} models, "
            f"{kept}."
        )
    else:
        each = [
            f"{one.model.spoken} after epoch {one.curve.last_epoch} (kept: epoch {one.curve.best_epoch})"
            for one in stopped
        ]
        text = f"Early stopping ended {join(each)}."
    return _said(text, "early-stopping", stopped)


def _of_the_head(learners: Sequence[Learner]) -> Sentence | None:
    """Say where the kept epoch of fine-tuning is one in which only the new last layer learned."""
    some = [one for one in learners if one.curve.best_stage == "head"]
    if not some:
        return None
    is_ = _verb(some, "is", "are each")
    text = (
        f"The kept epoch of {_names(some)} {is_} one in which only the new last layer learned: what was kept "
        f"is a linear probe, and tuning the rest did not lower the val loss."
    )
    return _said(text, "head-kept", some)


def _kept(learners: Sequence[Learner]) -> Sentence | None:
    """Say by what epochs are kept and models chosen."""
    if not learners:
        return None
    text = (
        "The weights kept are those of the epoch with the lowest val loss, which tells epochs apart where "
        "their val accuracy ties"
    )
    if len(learners) > 1:
        text += "; models are chosen by val accuracy, which is what they are compared in on test"
    return _said(f"{text}.", "kept", learners)


def _title(study: Study) -> str:
    """Name by their letters the models that overfit, had not finished, ...: the best on val first."""
    marks, found = letters(study), facts(study)
    parts = []
    for fit, words in FIT_WORDS.items():
        some = sorted(marks[one.model.key] for one in found.of(cast(Fit, fit)))
        if some:
            plain = words if len(some) == 1 or words not in ("overfits", "underfits") else words[:-1]
            parts.append(f"{join(some)}: {plain}")
    return "; ".join(parts)


@floats.figure(
    "fig-curves",
    "Val loss and val accuracy of each model’s chosen seed, epoch by epoch; ringed: the weights kept.",
    _title,
    when=lambda study: facts(study).learners,
    alternative="Lines of val accuracy and of val loss over epochs, one for each model, with the kept "
    "epoch ringed.",
    data=lambda study: _epochs(study),
)
def figure(study: Study) -> list[Figure]:
    """Draw val accuracy and val loss of all models, each in one panel."""
    drawings = []
    for what in ("accuracy", "loss"):
        drawing = theme.figure(2.7, theme.PANEL)
        drawing.set_label(f"val {what}")
        axes = drawing.subplots()
        ends = [end for model in floats.shown_models(study) if (end := _draw_val(axes, study, model, what))]
        if what == "accuracy":
            theme.percent(axes.yaxis)
        else:
            _share_heights([axes])
        axes.set(xlabel="epoch", ylabel=f"val {what}")
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.grid(axis="y")
        theme.label_ends(axes, ends, height=2.7)
        drawings.append(drawing)
    return drawings


def _draw_val(axes: Axes, study: Study, model: Model, what: str) -> tuple[float, str, str] | None:
    """Draw one model's curve and ring its kept epoch; return where to write its letter."""
    history, color = model.chosen.history, theme.model_styles(study)[model.key].color
    if history.empty:
        return None
    values = history[f"val_{what}"]
    axes.plot(history["epoch"], values, color=color)
    kept = history[history["epoch"] == model.chosen.details.best_epoch]
    axes.plot(kept["epoch"], kept[f"val_{what}"], "o", color=theme.PAPER.light, mec=color, mew=1.6, ms=7)
    return float(values.iloc[-1]), letters(study)[model.key], color


def _epochs(study: Study) -> Table:
    """List every epoch of every chosen seed."""
    header = ["Model", "Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"]
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    rows = [
        [name(model.label), str(int(row["epoch"])), *(f"{row[column]:.6g}" for column in columns)]
        for model in study.models
        for _, row in model.chosen.history.iterrows()
    ]
    return table(header, rows, "lrrrrr")


@floats.figure(
    "fig-learning",
    "Loss and accuracy: solid on val, dashed on train, pale for other seeds. Dot: kept epoch. Dotted line: "
    "early stop.",
    floats.named("Training, model by model"),
    when=lambda study: facts(study).learners,
    alternative="For each model, two line charts over epochs: loss and accuracy on train and val, with "
    "the kept "
    "epoch marked.",
    data=_epochs,
    wide=True,
)
def figure_of_each(study: Study) -> list[Figure]:
    """Draw loss and accuracy of every seed in train (dashed) and val, with the epoch that was kept."""
    shown, styles = floats.shown_models(study), theme.model_styles(study)
    drawings, pairs = [], []
    for model in shown:
        drawing = theme.figure(2.75, theme.SMALL)
        drawing.set_label(model.label)
        pairs.append(drawing.subplots(2))
        theme.heading(drawing, study, model)
        _draw_model(pairs[-1], model, styles[model.key].color)
        drawings.append(drawing)
    for panels in zip(*pairs, strict=True):
        _share_heights(panels)
    return drawings


def _draw_model(pair: Sequence[Axes], model: Model, color: str) -> None:
    for axes, what in zip(pair, ("loss", "accuracy"), strict=True):
        for record in model.records:
            _draw_run(axes, record, what, color, chosen=record is model.chosen)
        if model.learning and model.learning.stopped_early:
            axes.axvline(model.learning.last_epoch, color=theme.MUTED.light, lw=1, ls=":")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.locator_params(axis="y", nbins=4)
        axes.set_ylabel(what)
    theme.percent(pair[1].yaxis)
    pair[0].tick_params(labelbottom=False)
    pair[1].set_xlabel("epoch")


def _draw_run(axes: Axes, record: RunRecord, what: str, color: str, chosen: bool) -> None:
    history, strength = record.history, 1.0 if chosen else 0.35
    epochs, val = history["epoch"], history[f"val_{what}"]
    mark = "." if len(epochs) == 1 else ""  # of one epoch there is no line
    train = history[f"train_{what}"]
    axes.plot(epochs, train, "--", marker=mark, color=theme.MUTED.light, alpha=strength, lw=1.2)
    axes.plot(epochs, val, marker=mark, color=color, alpha=strength)
    kept = history[epochs == record.details.best_epoch]
    if chosen and len(kept):
        axes.plot(kept["epoch"], kept[f"val_{what}"], "o", color=color, mec=theme.PAPER.light, ms=7)


def _share_heights(panels: Sequence[Axes]) -> None:
    """Give panels the same heights, so that models compare; the highest 2 % of losses may leave them."""
    drawn = [axes for axes in panels if axes.lines]
    curves = [line for axes in drawn for line in axes.lines if line.get_transform() == axes.transData]
    heights = np.concatenate([np.asarray(curve.get_ydata(), float) for curve in curves] or [np.array([])])
    heights = heights[np.isfinite(heights)]
    if not len(heights):
        return
    low, high = heights.min(), np.quantile(heights, 0.98)
    margin = 0.08 * max(high - low, 1e-3)
    for axes in drawn:
        axes.set_ylim(low - margin, high + margin)


@floats.table(
    "tbl-learning",
    "Chosen seed at its kept epoch. Gap: train minus val accuracy, in points; train is measured while "
    "training, on images as it shows them.",
    floats.named("What the curves show, by rule"),
    when=lambda study: facts(study).learners,
)
def readings(study: Study) -> Table:
    """List, for the chosen seed of each model, the epoch that was kept and what the curves show."""
    header = ["Model", "Kept epoch", "Ended", "Train accuracy", "Val accuracy", "Gap", "Reading"]
    return table(header, [_reading(one.model, one.curve) for one in facts(study).learners], "lrlrrrl")


def _reading(model: Model, found: Learning) -> list[str]:
    return [
        name(model.label),
        f"{found.best_epoch} of {found.last_epoch}",
        "early" if found.stopped_early else "as planned",
        percent(found.train_accuracy),
        percent(found.val_accuracy),
        signed(found.gap),
        FIT_WORDS[found.fit],
    ]
