"""The answer where one side of the comparison, or both, did not run."""

from pipeline.report.model import Model
from pipeline.report.rules.price import bill_evidence, price_of_one
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened
from pipeline.report.words.phrases import accuracy_words, averaged, spoken_list, test_images
from pipeline.report.words.sentence import Sentence


def one_side(study: Study, found: Model) -> list[Sentence]:
    """Answer what can be answered without a pretrained network, or without one from scratch."""
    failed = [study.spoken[r.run_id] for r in study.failures if r.settings.pretrained != found.pretrained]
    failed = list(dict.fromkeys(failed))
    evidence = {
        "model": found.key,
        "accuracy": found.accuracy.value,
        "low": found.accuracy.low,
        "high": found.accuracy.high,
    }
    shown = "What it does" if len(study.records) == 1 else "What they do"
    known = (
        f"{shown} show: {found.spoken} gets {accuracy_words(found)} of the {test_images(study)} right"
        f"{averaged(found)}{_standing(study, found)}."
    )
    return [
        Sentence(_missing(study, found, failed), "answer.one-side.missing", {"failed": failed}, []),
        Sentence(known, "answer.one-side.accuracy", evidence, ["tbl-headline", "fig-accuracy"]),
        Sentence(
            f"{opened(price_of_one(found))}; {_next(found, failed)}.",
            "answer.one-side.cost",
            bill_evidence(found) if found.cost else {"cost": None},
            ["tbl-cost"] if found.cost else [],
        ),
    ]


def _missing(study: Study, found: Model, failed: list[str]) -> str:
    if not failed and len(study.records) == 1:
        does = "start from a pretrained network" if not found.pretrained else "train a network from scratch"
        return f"This one run answers only half of the question: it does not {does}."
    if not failed:
        none = "trains a network from scratch" if found.pretrained else "starts from a pretrained network"
        return f"These runs answer only half of the question: none of them {none}."
    side = "was to train from scratch" if found.pretrained else "was to start from a pretrained network"
    return f"These runs answer only half of the question: everything that {side} failed ({join(failed)})."


def _standing(study: Study, found: Model) -> str:
    """Say how the best on val of one side stands to the rest of that side."""
    others = [group for group in study.models if group is not found]
    if not others:
        return ""
    tests = [study.test(found, other) for other in others]
    if all(test.distinguishable and test.difference.value > 0 for test in tests):
        return f", and does better than {spoken_list(others)} beyond noise"
    tied = [other for other, test in zip(others, tests, strict=True) if not test.distinguishable]
    if tied:
        return f", though {spoken_list(tied, 'or')} cannot be told from it"
    return f", chosen on val from {number_word(len(others) + 1)}"


def _next(found: Model, failed: list[str]) -> str:
    if failed:
        return "for the other half, mend the failed runs and start the experiment again"
    if found.pretrained:
        return "for the other half, add custom_cnn or the same network with mode scratch to the params file"
    return (
        "for the other half, add a pretrained network to the params file, such as efficientnet_lite0, which "
        "needs no download"
    )


def nothing_finished(study: Study) -> list[Sentence]:
    """Say that there is no answer, why, and what to do."""
    runs = len(study.failures)
    which = {0: "no run was made", 1: "the only run failed", 2: "both runs failed"}.get(
        runs, f"all {number_word(runs)} runs failed"
    )
    return [
        Sentence(f"There is no answer yet: {which}.", "answer.failed", {"failed_runs": runs}, ["tbl-runs"]),
        Sentence(_reasons(study), "answer.failed.reason", {"reasons": _told(study)}, ["tbl-runs"]),
        Sentence(
            "Each executed notebook is kept and shows where its run stopped; with the cause mended, start "
            "the experiment again.",
            "answer.failed.next",
            {"runs": [record.run_id for record in study.failures]},
        ),
    ]


def _told(study: Study) -> dict[str, str]:
    """Return the reason that each failed run left, by its id."""
    return {r.run_id: r.details.failure.message for r in study.failures if r.details.failure}


def _reasons(study: Study) -> str:
    told = _told(study)
    if not told:
        return "No reason was recorded."
    models = list(dict.fromkeys(study.spoken[run_id] for run_id in told))
    reasons = list(dict.fromkeys(reason.rstrip(".") for reason in told.values()))
    if len(reasons) == 1:
        return f"{opened(join(models))} gave the same reason: {reasons[0]}."
    return f"{opened(models[0])} gave as its reason: {reasons[0]}."
