"""Asked and answered: the assignment's points, each done, done in part or not, with what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.report.look import floats
from pipeline.report.look.floats import cite_page, cite_paper
from pipeline.report.look.markup import text, typst_string
from pipeline.report.look.table import Drawn, Table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, plural
from pipeline.report.words.numbers import quantity

FAMILIES = {"vgg": "VGG", "inception": "Inception", "resnet": "ResNet"}
EXAMPLES = {"vgg": "vgg16", "inception": "inception_v3", "resnet": "resnet50"}
DONE, PART, NOT = "done", "in part", "not done"


@dataclass(frozen=True)
class Task:
    """One point of the assignment: how far it is done, in words, where to look, the params line to add."""

    asked: str
    state: str
    said: str
    where: tuple[str, ...] = ()
    line: str = ""


def tasks(study: Study) -> list[Task]:
    """Return the assignment's points in its order."""
    return [
        _data(study), _custom(study), _transfer(study), _compared(study), _metrics(study), _matrices(study),
        _discussed(study), _repeated(study),
    ]  # fmt: skip


def _data(study: Study) -> Task:
    asked, found = "Images loaded, split and prepared", study.dataset
    if found is None:
        return Task(asked, NOT, "no run recorded its images")
    sizes = join([f"{count:,} {split}" for split, count in found.split_sizes.items()])
    return Task(asked, DONE, f"{sizes} images", ("fig-samples",))


def _custom(study: Study) -> Task:
    asked, line = "A custom CNN designed and trained", "- {model: custom_cnn}"
    if study.custom:
        size = (
            f", {quantity(study.custom.network.total_parameters)} parameters" if study.custom.network else ""
        )
        return Task(asked, DONE, f"{letters(study)[study.custom.key]}{size}", ("fig-network", "fig-curves"))
    if any(record.settings.model == "custom_cnn" for record in study.failures):
        return Task(asked, NOT, "its runs failed", ("tbl-runs",))
    return Task(asked, NOT, "none ran", line=line)


def _family(model: Model) -> str:
    return next((family for family in FAMILIES if family in model.name.lower()), "")


def _transfer(study: Study) -> Task:
    asked = "Transfer learning with several of VGG, Inception, ResNet"
    names = list(dict.fromkeys(model.network_name for model in study.transfer))
    ran = {_family(model) for model in study.transfer} - {""}
    left = [EXAMPLES[family] for family in FAMILIES if family not in ran]
    lines = "; ".join(f"- {{model: {name}, mode: fine_tune}}" for name in left[: max(0, 2 - len(ran))])
    if len(ran) > 1:
        return Task(asked, DONE, join(names), ("tbl-headline", "tbl-models"))
    if names:
        return Task(asked, PART, f"{join(names)} ran", ("tbl-headline",), lines)
    if any(record.settings.pretrained for record in study.failures):
        return Task(asked, NOT, "their runs failed", ("tbl-runs",), lines)
    return Task(asked, NOT, "no pretrained network ran", line=lines)


def _compared(study: Study) -> Task:
    asked = "The two compared, beyond chance"
    if study.learned and study.best_scratch and study.best_transfer:
        return Task(asked, DONE, "difference with its interval and test", ("fig-accuracy", "tbl-tests"))
    return Task(asked, NOT, "one side is missing, or not shown to have learned anything")


def _metrics(study: Study) -> Task:
    asked = "Accuracy, precision, recall and F1"
    if not study.models:
        return Task(asked, NOT, "no run is whole")
    return Task(asked, DONE, "macro averages, and by class", ("tbl-scores", "tbl-per-class"))


def _matrices(study: Study) -> Task:
    asked = "Confusion matrices"
    if not study.models:
        return Task(asked, NOT, "no run is whole")
    which = "the two compared" if study.pair else "the best on val"
    return Task(asked, DONE, f"of {which}, on the page of all", ("fig-confusion",))


def _discussed(study: Study) -> Task:
    asked = "Trade-offs discussed"
    if study.pair is None or not study.learned:
        return Task(asked, NOT, "a comparison takes two models that are shown to have learned")
    return Task(asked, DONE, "in the discussion, with sources", ("tbl-tradeoffs", "tbl-recommend"))


def _repeated(study: Study) -> Task:
    asked, seeds = "Trainings repeated", [len(model.records) for model in study.models]
    if not seeds:
        return Task(asked, NOT, "no run is whole")
    if max(seeds) < 2:
        return Task(asked, NOT, "one seed each", line="seeds: [0, 1, 2]")
    state = DONE if min(seeds) == max(seeds) else PART
    return Task(asked, state, plural(min(seeds), "seed") + " at least", ("tbl-runs",))


def _title(study: Study) -> str:
    found = tasks(study)
    done = sum(task.state == DONE for task in found)
    return f"Of {len(found)} points asked, {done} {'is' if done == 1 else 'are'} done"


@floats.table(
    "tbl-tasks",
    "What is asked of such a study, from its settings and runs. What is missing, the line of the params "
    "file would do.",
    _title,
    models=False,
)
def checklist(study: Study) -> Table:
    """List the assignment's points: done and where, in part, or not and what would do it."""
    rows: list[list[str | Drawn]] = [[task.asked, task.state, _said(study, task)] for task in tasks(study)]
    return Table(["Asked", "Answered", "Where, or what would do it"], rows, "lll")


def _said(study: Study, task: Task) -> Drawn:
    shown = [label for label in task.where if floats.has(label, study)]
    add = f"; add {task.line}" if task.line else ""
    return Drawn(
        "".join([str(text(task.said)), *_linked([cite_page(label, study) for label in shown]),
                 f"; add <code>{text(task.line)}</code>" if task.line else ""]),
        "".join([f"#{typst_string(task.said)}", *_linked([cite_paper(label, study) for label in shown]),
                 f"; add #raw({typst_string(task.line)})" if task.line else ""]),
        task.said + add,
    )  # fmt: skip


def _linked(links: Sequence[str]) -> Iterator[str]:
    if links:
        yield f" ({', '.join(links)})"
