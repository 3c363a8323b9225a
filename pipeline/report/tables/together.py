"""Tables of what the models do together: answers that agree, and images that all of them miss."""

from IPython.display import Markdown

from pipeline.report.evidence.errors import Answer, Miss
from pipeline.report.look.theme import letters
from pipeline.report.study import Study
from pipeline.report.tables.markdown import name, needs_models, nothing, table
from pipeline.report.tables.results import most_promising
from pipeline.report.words.english import NBSP, percent

MOST_MISSES = 12


@needs_models
def agreement(study: Study) -> Markdown:
    """Show every pair: above the diagonal how often both answer alike, below it what both get wrong."""
    together = study.agreement
    if together is None:
        return nothing("A comparison takes two models.")
    marks, places = letters(study), {group.key: i for i, group in enumerate(study.models)}
    shown = [(group, places[group.key]) for group in most_promising(study)]
    rows = []
    for place, (group, i) in enumerate(shown):
        cells = [
            f"{together.missed[i, j]:,}" if column <= place else percent(together.share[i, j])
            for column, (_, j) in enumerate(shown)
        ]
        rows.append([marks[group.key], name(group.label, 34), *cells])
    return table(["Key", "Model", *(marks[group.key] for group, _ in shown)], rows, "ll" + "r" * len(shown))


@needs_models
def all_miss(study: Study) -> Markdown:
    """List the images that every model gets wrong, with each model's answer and confidence."""
    if len(study.models) < 2:
        return nothing("A comparison takes two models.")
    if not study.missed_by_all:
        return nothing("No test image was missed by every model.")
    rows = [
        [str(one.index), name(study.classes[one.target], 30), _answers(study, one)]
        for one in study.missed_by_all[:MOST_MISSES]
    ]
    return table(["Test image", "Label", "What the models say, and how sure they are"], rows, "rll")


def _answers(study: Study, one: Miss) -> str:
    """Group the models by their answer: 9 (A 98 %, C 54 %); 5 (B 31 %)."""
    said: dict[int, list[Answer]] = {}
    for answer in one.answers:
        said.setdefault(answer.predicted, []).append(answer)
    marks = letters(study)
    parts = []
    for predicted, answers in sorted(said.items(), key=lambda item: -len(item[1])):
        who = ", ".join(f"{marks[a.model]}{NBSP}{percent(a.confidence, 0)}" for a in answers)
        parts.append(f"{name(study.classes[predicted], 30)} ({who})")
    return "; ".join(parts)
