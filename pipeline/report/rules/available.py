"""Which figures and tables have content in a study, so that no sentence refers to an empty one."""

from dataclasses import replace

from pipeline.report.study import Study
from pipeline.report.words.phrases import pair_of
from pipeline.report.words.sentence import Sentence

ALWAYS = {"tbl-runs", "tbl-limits"}
WITH_A_MODEL = {
    "tbl-headline", "fig-samples", "fig-balance", "fig-augmented", "tbl-models", "fig-curves", "tbl-learning",
    "fig-accuracy", "tbl-per-class", "fig-confusion", "fig-calibration", "tbl-calibration", "fig-coverage",
    "tbl-recommend",
}  # fmt: skip


def available(study: Study) -> set[str]:
    """Return the ids of the figures and tables that have something to show."""
    if not study.models:
        return set(ALWAYS)
    errors = any(not group.chosen_test.correct.all() for group in study.models)
    priced = any(group.cost for group in study.models)
    conditions = {
        "tbl-tests": len(study.models) > 1,
        "fig-three-ways": bool(study.three_ways),
        "fig-per-class": pair_of(study) is not None,
        "tbl-confused": errors,
        "fig-mistakes": errors,
        "fig-all-miss": len(study.models) > 1 and bool(study.missed_by_all),
        "tbl-all-miss": len(study.models) > 1 and bool(study.missed_by_all),
        "tbl-agreement": len(study.models) > 1,
        "tbl-label-errors": bool(study.label_issues),
        "tbl-duplicates": any(group.without_duplicates for group in study.models),
        "tbl-cost": priced,
        "fig-pareto": priced,
    }
    return ALWAYS | WITH_A_MODEL | {name for name, holds in conditions.items() if holds}


def referring(sentences: list[Sentence], known: set[str]) -> list[Sentence]:
    """Return the sentences with those references that are known."""
    return [replace(s, references=[name for name in s.references if name in known]) for s in sentences]
