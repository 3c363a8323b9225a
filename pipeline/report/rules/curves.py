"""How the models learned: over- and underfitting, early stopping; the rules are in report/learning.py."""

from pipeline.report.evidence.learning import GAP, Learning
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import NBSP, join, number_word, opened, percent
from pipeline.report.words.phrases import each_or_span, spoken_list
from pipeline.report.words.sentence import Sentence

MOST_STOPS = 3  # early stops that are told one by one
REFERENCES = ["fig-curves", "tbl-learning"]

Learned = list[tuple[Model, Learning]]


def curves(study: Study) -> list[Sentence]:
    """Argue the learning section, one sentence per way of learning that occurs."""
    learned = [(group, group.learning) for group in study.models if group.learning]
    found = [
        _overfitting([pair for pair in learned if pair[1].fit == "overfitting"]),
        _unfinished([pair for pair in learned if pair[1].fit == "unfinished"], len(learned)),
        _underfitting([pair for pair in learned if pair[1].fit == "underfitting"]),
        _balanced([pair for pair in learned if pair[1].fit == "balanced"], len(learned)),
        _stopping(learned),
    ]
    return [sentence for sentence in found if sentence]


def _names(learned: Learned) -> str:
    return spoken_list([group for group, _ in learned])


def _who(learned: Learned) -> str:
    return opened(_names(learned))


def _verb(learned: Learned, one: str, many: str) -> str:
    return one if len(learned) == 1 else many


def _evidence(learned: Learned) -> dict[str, object]:
    return {
        group.key: {
            "fit": found.fit,
            "train_accuracy": found.train_accuracy,
            "val_accuracy": found.val_accuracy,
            "best_epoch": found.best_epoch,
            "last_epoch": found.last_epoch,
            "val_loss_rise": found.rise,
        }
        for group, found in learned
    }


def _overfitting(learned: Learned) -> Sentence | None:
    if not learned:
        return None
    by_gap = [pair for pair in learned if pair[1].gap > GAP]
    by_loss = [pair for pair in learned if pair[1].gap <= GAP]
    parts = [part for part in (_gap_words(by_gap), _loss_words(by_loss)) if part]
    text = f"{opened('; '.join(parts))}."
    return Sentence(text, "learning.overfitting", _evidence(learned), REFERENCES)


def _gap_words(learned: Learned) -> str:
    if not learned:
        return ""
    gaps = each_or_span([found.gap for _, found in learned], lambda gap: f"{100 * gap:.1f}")
    when = _verb(learned, "at its best epoch it is", "at their best epochs they are")
    overfits = _verb(learned, "overfits", "overfit")
    return f"{_names(learned)} {overfits}: {when} {gaps}{NBSP}points better on train than on val"


def _loss_words(learned: Learned) -> str:
    if not learned:
        return ""
    rises = each_or_span([found.rise for _, found in learned], lambda rise: percent(rise, 0))
    epochs = each_or_span([found.best_epoch for _, found in learned], lambda epoch: f"{epoch:.0f}")
    when = f"{'epoch' if epochs.isdigit() else 'epochs'} {epochs}"
    after = f"{when} {_verb(learned, 'its val loss', 'their val losses')}"
    overfits = _verb(learned, "overfits", "overfit")
    return f"{_names(learned)} {overfits}: after {after} rose by {rises} while the train loss fell"


def _unfinished(learned: Learned, models: int) -> Sentence | None:
    if not learned:
        return None
    start = f"{_who(learned)} had not finished learning"
    if len(learned) == models > 2:
        start = f"None of the {number_word(models)} models had finished learning"
    text = (
        f"{start}: the val loss was still falling at the last epoch, so more epochs might give "
        f"{_verb(learned, 'it', 'them')} more."
    )
    return Sentence(text, "learning.unfinished", _evidence(learned), REFERENCES)


def _underfitting(learned: Learned) -> Sentence | None:
    if not learned:
        return None
    reached = each_or_span([found.train_accuracy for _, found in learned], percent)
    text = (
        f"{_who(learned)} {_verb(learned, 'underfits', 'underfit')}: even on the training images "
        f"{_verb(learned, 'it reaches', 'they reach')} only {reached}, hardly more than on val, the usual "
        "sign of too little freedom to learn (frozen layers, few parameters, strong augmentation or "
        "regularisation)."
    )
    return Sentence(text, "learning.underfitting", _evidence(learned), REFERENCES)


def _balanced(learned: Learned, models: int) -> Sentence | None:
    if not learned:
        return None
    who = "No model" if len(learned) == models > 1 else _who(learned)
    neither = (
        "shows over- or underfitting by these rules"
        if who == "No model"
        else f"{_verb(learned, 'shows', 'show')} neither over- nor underfitting by these rules"
    )
    return Sentence(f"{who} {neither}.", "learning.balanced", _evidence(learned), REFERENCES)


def _stopping(learned: Learned) -> Sentence | None:
    stopped = [(group, found) for group, found in learned if found.stopped_early]
    if not stopped:
        return None
    if len(stopped) == len(learned) > 2:
        text = "Early stopping ended every run, and the best epoch of each was kept."
    elif len(stopped) > MOST_STOPS:
        several = f"{number_word(len(stopped))} of the {number_word(len(learned))} models"
        text = f"Early stopping ended {several}, and the best epoch of each was kept."
    else:
        each = join(
            [f"{g.spoken} after epoch {f.last_epoch} (kept: epoch {f.best_epoch})" for g, f in stopped]
        )
        text = f"Early stopping ended {each}."
    return Sentence(text, "learning.early-stopping", _evidence(stopped), REFERENCES)
