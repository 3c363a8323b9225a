"""What goes wrong: confusions, images that all miss, doubtful labels, near-duplicates."""

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import (
    number_word,
    opened,
    percent,
    plural,
    points,
)
from pipeline.report.words.phrases import spoken_list
from pipeline.report.words.sentence import Sentence

CARRIES = 0.005  # a change of accuracy without near-duplicates that is worth attention
MANY = 0.05  # share of doubted labels above which the models are the likelier reason
SURE = 0.9  # a mistake made with at least this confidence is a confident one


def errors(study: Study) -> list[Sentence]:
    """Argue the errors section."""
    best = study.best
    if best is None:
        return []
    found = [
        _confused(study, best),
        _confident(best),
        _all_miss(study),
        _alike(study),
        _label_issues(study),
        _duplicates(study, best),
    ]
    return [sentence for sentence in found if sentence]


def _confused(study: Study, best: Model) -> Sentence | None:
    """Name the best model's most frequent confusion, and which other models share it."""
    pairs = best.most_confused(1)
    if not pairs:
        text = f"{opened(best.spoken)} makes no error on the test images."
        return Sentence(text, "errors.none", {"model": best.key})
    pair = pairs[0]
    true, predicted = study.classes[pair.true], study.classes[pair.predicted]
    text = (
        f"{opened(best.spoken)} errs most often by taking “{true}” for “{predicted}”: "
        f"{plural(pair.count, 'image')}, {percent(pair.share)} of that class"
    )
    others = [group for group in study.models if group is not best]
    sharing = [group for group in others if _top(group) == (pair.true, pair.predicted)]
    if sharing:
        all_others = "the other model" if len(others) == 1 else "all other models"
        who = all_others if len(sharing) == len(others) else f"{number_word(len(sharing))} of the others"
        text += f"; it is the commonest error of {who} too"
    evidence = {
        "model": best.key, "true": true, "predicted": predicted, "count": pair.count, "share": pair.share
    }  # fmt: skip
    return Sentence(f"{text}.", "errors.confused", evidence, ["tbl-confused", "fig-confusion"])


def _top(group: Model) -> tuple[int, int] | None:
    pairs = group.most_confused(1)
    return (pairs[0].true, pairs[0].predicted) if pairs else None


def _confident(best: Model) -> Sentence | None:
    split = best.chosen_test
    wrong = int((~split.correct).sum())
    if not wrong:
        return None
    sure = int((~split.correct & (split.probability.max(axis=1) >= SURE)).sum())
    evidence = {"model": best.key, "errors": wrong, "confident": sure, "threshold": SURE}
    if sure:
        verb = "was made" if sure == 1 else "were made"
        text = f"Of its {plural(wrong, 'error')}, {sure:,} {verb} with a confidence of {SURE} or more."
    else:
        text = f"None of its {plural(wrong, 'error')} was made with a confidence of {SURE} or more."
    return Sentence(text, "errors.confident", evidence, ["fig-mistakes"])


def _all_miss(study: Study) -> Sentence | None:
    together = study.agreement
    if together is None:
        return None
    share = together.all_miss / together.images
    evidence = {
        "all_miss": together.all_miss,
        "same_miss": together.same_miss,
        "expected": together.expected_all_miss,
        "all_right": together.all_right,
        "images": together.images,
    }
    if not together.all_miss:
        text = f"No test image defeats {_all(study)} at once."
        return Sentence(text, "errors.all-miss.none", evidence)
    text = (
        f"{opened(_all(study))} miss the same {plural(together.all_miss, 'image')} ({percent(share)}), where "
        f"{_about(together.expected_all_miss)} would be expected if they erred independently"
    )
    others, everyone = ("other", "both") if len(study.models) == 2 else ("others", "all")
    alike = together.all_miss > 2 * max(together.expected_all_miss, 1)
    text += f": what is hard for one is hard for the {others}" if alike else ""
    if together.same_miss == together.all_miss:
        text += f"{',' if alike else ''} and {everyone} agree on the wrong answer"
    elif together.same_miss:
        text += f"; in {number_word(together.same_miss)} of them {everyone} agree on the wrong answer"
    return Sentence(f"{text}.", "errors.all-miss", evidence, ["fig-all-miss", "tbl-all-miss"])


def _alike(study: Study) -> Sentence | None:
    """Say how alike the answers are, and what no way of combining them could exceed."""
    together = study.agreement
    if together is None:
        return None
    pairs = [(together.share[i, j], i, j) for j in range(len(study.models)) for i in range(j)]
    (least, *apart), (most, *near) = min(pairs), max(pairs)
    reached = 1 - together.all_miss / together.images
    evidence = {"highest": most, "lowest": least, "one_right": reached}
    if len(pairs) == 1:
        text = f"The two give the same answer to {percent(most)} of the test images"
    else:
        names = [spoken_list([study.models[i] for i in pair]) for pair in (near, apart)]
        text = (
            f"Most alike are {names[0]}, with the same answer to {percent(most)} of the test images, least "
            f"alike {names[1]}, with {percent(least)}"
        )
    if together.all_miss:
        text += f"; at least one is right on {percent(reached)}, which no vote among them could exceed."
    else:
        text += "; on every image at least one is right."
    return Sentence(text, "errors.alike", evidence, ["tbl-agreement"])


def _all(study: Study) -> str:
    return "both models" if len(study.models) == 2 else f"all {number_word(len(study.models))} models"


def _about(count: float) -> str:
    return "fewer than one" if count < 0.5 else f"about {round(count):,}"


def _label_issues(study: Study) -> Sentence:
    issues = study.label_issues
    images = len(study.targets)
    agreed = sum(issue.unanimous for issue in issues)
    evidence = {"suspected": len(issues), "unanimous": agreed, "images": images}
    if not issues:
        text = "Confident learning finds no test image whose label it would doubt."
        return Sentence(text, "errors.labels.none", evidence)
    text = (
        f"Confident learning doubts the label of {plural(len(issues), 'test image')} "
        f"({percent(len(issues) / images)})"
    )
    if len(study.models) > 1:
        text += f"; {_agreeing(study, agreed, len(issues))}"
    if len(issues) > MANY * images:
        text += ". So many doubts speak for weak models rather than for wrong labels."
    else:
        text += ". Only a look at the image can tell whether label or model is wrong."
    return Sentence(text, "errors.labels", evidence, ["tbl-label-errors"])


def _agreeing(study: Study, agreed: int, issues: int) -> str:
    everyone = _all(study)
    if issues == 1:
        return f"{everyone} {'agree' if agreed else 'do not agree'} on one other class"
    if not agreed:
        return f"for none of them do {everyone} agree on one other class"
    return f"for {'all' if agreed == issues else f'{agreed:,}'} of them {everyone} agree on one other class"


def _duplicates(study: Study, best: Model) -> Sentence | None:
    dataset, without = study.dataset, best.without_duplicates
    if dataset is None or without is None:
        return None
    change = without.accuracy - best.accuracy.value
    evidence = {
        "model": best.key,
        "near_duplicates": without.removed,
        "accuracy": best.accuracy.value,
        "accuracy_without": without.accuracy,
        "difference": [without.difference.value, without.difference.low, without.difference.high],
    }
    text = (
        f"{opened(plural(without.removed, 'test image'))} "
        f"({percent(without.removed / (without.removed + without.images))}) "
        f"{'has' if without.removed == 1 else 'have'} a near-duplicate in train; without "
        f"{'it' if without.removed == 1 else 'them'} the accuracy of {best.spoken} "
    )
    before, after = percent(best.accuracy.value), percent(without.accuracy)
    text += f"stays at {after}" if before == after else f"is {after} instead of {before}"
    text += ", so they do not carry the result." if abs(change) < CARRIES else f", {points(change)} apart."
    return Sentence(text, "errors.duplicates", evidence, ["tbl-duplicates"])
