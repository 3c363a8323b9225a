"""Runs that failed, said where a reader would otherwise miss them."""

from pipeline.report.study import Study
from pipeline.report.words.english import number_word, opened
from pipeline.report.words.sentence import Sentence


def failures(study: Study) -> list[Sentence]:
    """Say of each model with failed runs what is missing, and why."""
    reasons: dict[str, list[str]] = {}
    for record in study.failures:
        reason = record.details.failure.message if record.details.failure else "no reason was recorded"
        reasons.setdefault(study.spoken[record.run_id], []).append(reason.rstrip("."))
    whole = {group.spoken: len(group.records) for group in study.models}
    return [
        Sentence(
            _failure(model, found, whole.get(model, 0)),
            "limits.failed",
            {"model": model, "failed": len(found), "whole": whole.get(model, 0), "reasons": found},
            ["tbl-runs"],
        )
        for model, found in reasons.items()
    ]


def _failure(model: str, reasons: list[str], whole: int) -> str:
    if whole:
        seeds = f"{number_word(len(reasons))} of its {number_word(len(reasons) + whole)} seeds"
        return f"{opened(model)} stands on fewer runs than planned, since {seeds} failed: {reasons[0]}."
    return f"{opened(model)} is missing from every comparison, since it failed: {reasons[0]}."
