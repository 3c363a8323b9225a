"""A comparison of two reports as Markdown: for a pull request, read on GitHub or by Pandoc."""

from typing import Any

from pipeline.report.diff import Change, Comparison, ModelChange
from pipeline.report.words.english import as_marks, escape_markdown, without_marks
from pipeline.report.words.numbers import p_value, percent, points_range, signed

CAUSES = {
    "data": "the images",
    "source": "the training code",
    "code": "the training code",
    "weights": "the pretrained weights",
    "hardware": "the device or its precision",
}


def _escaped(text: str) -> str:
    """Return Markdown that terminals and GitHub show as written, too: without markup of direction."""
    return without_marks(as_marks(escape_markdown(text)))


def markdown(found: Comparison) -> str:
    """Return headings, the verdict in one sentence, a table of models and a list of changes."""
    first, second = _escaped(found.first), _escaped(found.second)
    parts = [f"## {first} → {second}", _escaped(_summary(found)), _table(found), _settings(found)]
    parts += [_only(found.only_first, "Only in the first"), _only(found.only_second, "Only in the second")]
    parts.append(_answers(found))
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(found: Comparison) -> str:
    if not found.models:
        return "The two have no model in common."
    if not found.same_images:
        return "The test images are not the same, so the differences below cannot be tested in pairs."
    better = [model.label for model in found.models if model.better]
    worse = [model.label for model in found.models if model.worse]
    parts = [f"better beyond noise: {'; '.join(better)}"] if better else []
    parts += [f"worse beyond noise: {'; '.join(worse)}"] if worse else []
    same = sum(model.same_runs for model in found.models)
    if same == len(found.models):
        return "The runs of all models are the same on both sides."
    if not parts:
        return "No model is better or worse beyond noise on the same test images."
    rest = len(found.models) - len(better) - len(worse) - same
    parts += [f"neither: {rest}"] if rest else []
    parts += [f"the same runs on both sides: {same}"] if same else []
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def _table(found: Comparison) -> str:
    if not found.models:
        return ""
    head = "| Model | First | Second | Difference | 95 % interval | p | |\n|---|--:|--:|--:|:-:|--:|---|"
    return "\n".join([head, *(_row(model) for model in found.models)])


def _row(model: ModelChange) -> str:
    cells = [_escaped(model.label), percent(model.before), percent(model.after)]
    cells.append(f"{signed(model.after - model.before)} points")
    if model.same_runs:
        return f"| {' | '.join([*cells, '', '', 'same runs'])} |"
    if model.test is None:
        return f"| {' | '.join([*cells, '', '', 'other images'])} |"
    low, high = model.test.low, model.test.high
    cells += [points_range(low, high), p_value(model.test.p_holm).replace("<", "\\<"), _finding(model)]
    return f"| {' | '.join(cells)} |"


def _finding(model: ModelChange) -> str:
    assert model.test is not None
    scope = " (these runs)" if model.test.scope == "runs" else ""
    if model.test.distinguishable:
        return ("better" if model.better else "worse") + scope
    return f"{'equivalent' if model.test.verdict == 'equivalent' else 'undecided'}{scope}"


def _settings(found: Comparison) -> str:
    """List changed settings, once where all shared models changed alike."""
    lines = []
    alike: dict[tuple[str, str, str], list[Change]] = {}
    for change in found.settings:
        alike.setdefault((change.setting, _shown(change.before), _shown(change.after)), []).append(change)
    for (setting, before, after), changes in alike.items():
        everywhere = len(changes) == len(found.models) > 1
        where = "all models" if everywhere else "; ".join(change.model for change in changes)
        lines.append(f"- {_escaped(f'{setting}: {before} → {after} ({where})')}")
    lines += [f"- {CAUSES.get(cause, _escaped(cause))} changed" for cause in found.causes]
    if not lines:
        return "### What changed\n\nNothing in the settings of the models that both have."
    return "### What changed\n\n" + "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _only(labels: list[str], heading: str) -> str:
    return f"{heading}: {_escaped('; '.join(labels))}." if labels else ""


def _answers(found: Comparison) -> str:
    before, after = found.answers
    if before == after or not before or not after:
        return ""
    return f"### The answer\n\nBefore: {_escaped(' '.join(before))}\n\nAfter: {_escaped(' '.join(after))}"
