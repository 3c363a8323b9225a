"""Class by class: where the first model of the pair helps, where it hurts, where nobody can tell."""

from statistics import median

from pipeline.report.evidence.significance import ClassDifference
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened, percent, points, signed
from pipeline.report.words.phrases import pair_of
from pipeline.report.words.sentence import Sentence

MOST_NAMED = 3
REFERENCES = ["fig-per-class", "tbl-per-class"]


def classes(study: Study) -> list[Sentence]:
    """Argue the per-class section."""
    if not study.models:
        return []
    pair = pair_of(study)
    found = [_hardest(study), _helps(study, *pair) if pair else None]
    return [sentence for sentence in found if sentence]


def _hardest(study: Study) -> Sentence | None:
    """Name the class that the best model recognises least and the one it recognises best."""
    best = study.best
    if best is None:
        return None
    recall = {k: float(best.metrics.recall[k]) for k, n in enumerate(best.metrics.support) if n}
    low, high = min(recall.values()), max(recall.values())
    hard, easy = ([k for k, share in recall.items() if share == end] for end in (low, high))
    evidence = {"model": best.key, "lowest": low, "highest": high, "hardest": hard, "easiest": easy}
    if low == high:
        text = f"{opened(best.spoken)} gets the same share of every class right, {percent(low)}."
    else:
        seed = " (its chosen seed)" if len(best.records) > 1 else ""
        easiest = f"{_quoted(study, easy)} easiest ({percent(high)})"
        if high == 1:
            easiest = f"makes no mistake in {_quoted(study, easy)}"
        text = (
            f"{opened(best.spoken)}{seed} finds {_quoted(study, hard)} hardest ({percent(low)} of the images "
            f"right) and {easiest}."
        )
    return Sentence(text, "classes.hardest", evidence, ["tbl-per-class", "fig-confusion"])


def _quoted(study: Study, classes: list[int]) -> str:
    """Name one class or a few equal ones, and count many."""
    if len(classes) <= MOST_NAMED:
        return join([f"“{study.classes[k]}”" for k in classes])
    return f"{number_word(len(classes))} classes"


def _helps(study: Study, first: Model, second: Model) -> Sentence:
    differences = study.per_class(first, second)
    better = sorted(_beyond_noise(differences, +1), key=lambda d: -d.difference.value)
    worse = sorted(_beyond_noise(differences, -1), key=lambda d: d.difference.value)
    evidence = {
        "first": first.key,
        "second": second.key,
        "better": [study.classes[d.target] for d in better],
        "worse": [study.classes[d.target] for d in worse],
    }
    versus = f"Against {second.spoken}, {first.spoken}"
    total = number_word(len(differences))
    if not better and not worse:
        width = median((d.difference.high - d.difference.low) / 2 for d in differences)
        text = (
            f"{versus} is neither better nor worse beyond noise in any single class; the difference within "
            f"one class is only known to about ±{points(width)}."
        )
        return Sentence(text, "classes.none", evidence, REFERENCES)
    parts = []
    if better:
        parts.append(f"does better in {_count(better, total)} beyond noise, {_named(study, better)}")
    if worse:
        parts.append(f"does worse in {_count(worse, total)} beyond noise, {_named(study, worse)}")
    tail = "" if better and worse else ", and worse in none" if better else ", and better in none"
    text = f"{versus} {', but '.join(parts)}{tail}{_averaged(first, second)}."
    return Sentence(text, "classes.differences", evidence, REFERENCES)


def _averaged(*groups: Model) -> str:
    """Say that class by class, too, seeds are averaged, and what noise means then."""
    if all(len(group.records) == 1 for group in groups):
        return ""
    return " (means over seeds, which do not overlap there)"


def _beyond_noise(differences: list[ClassDifference], sign: int) -> list[ClassDifference]:
    return [d for d in differences if d.distinguishable and d.difference.value * sign > 0]


def _count(found: list[ClassDifference], total: str) -> str:
    return (
        f"all {total} classes"
        if number_word(len(found)) == total
        else f"{number_word(len(found))} of {total} classes"
    )


def _named(study: Study, found: list[ClassDifference]) -> str:
    named = [f"“{study.classes[d.target]}” ({signed(d.difference.value)} points)" for d in found[:MOST_NAMED]]
    return f"most of all in {join(named)}" if len(found) > MOST_NAMED else f"namely {join(named)}"
