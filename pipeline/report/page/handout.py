"""The first screen, which is the first page of the PDF: verdict, price, tiles, scores, cases, caveats."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from IPython.display import Markdown

from pipeline.report.chapters import answer, short
from pipeline.report.chapters.recommendations import recommendations
from pipeline.report.look.dots import chip
from pipeline.report.look.floats import cite_page, cite_paper
from pipeline.report.look.markup import typst_string
from pipeline.report.look.table import Drawn
from pipeline.report.look.theme import MODEL_TONES, letters
from pipeline.report.look.theme import short as cut
from pipeline.report.model import Model
from pipeline.report.page.templates import filled
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP, data_size, duration, latency, percent
from pipeline.report.words.sentence import Sentence


@dataclass(frozen=True)
class Tile:
    """One number to remember, and what it is."""

    value: str
    what: str


def opening(study: Study) -> Markdown:
    """Return the verdict, its price, what failed, and four numbers to remember."""
    said, price = short.verdict(study), short.price(study)
    why = [] if study.models else list(answer.words(study))[1:]  # what failed, and what to do about it
    lines = [one.text for one in (price, *short.failed(study), *why) if one]
    shown = list(tiles(study))
    paper = (
        f"#verdict({typst_string(said.text)}, ({''.join(typst_string(line) + ', ' for line in lines)}))\n"
        f"#tiles(({''.join(f'({typst_string(t.value)}, {typst_string(t.what)}), ' for t in shown)}))"
    )
    lead, colon, rest = said.text.partition(":")
    return filled("handout-opening", paper, lead=lead + colon, rest=rest, lines=lines, tiles=shown)


def closing(study: Study) -> Markdown:
    """Return what to choose in which case, beside what to know before relying on the verdict."""
    found = [(one.situation, _choice(study, one.model)) for one in recommendations(study)]
    warned = list(short.caveats(study))
    cases = "".join(f"({typst_string(what)}, [{choice.paper}]), " for what, choice in found)
    said = "".join(f"[{_on_paper(study, one)}], " for one in warned)
    return filled(
        "handout-closing",
        f"#beside(({cases}), ({said}))\n#contents\n#pagebreak(weak: true)",
        cases=[(what, choice.page) for what, choice in found],
        caveats=[
            (one.text.removesuffix("."), [cite_page(r, study) for r in one.references]) for one in warned
        ],
    )


def _on_paper(study: Study, said: Sentence) -> str:
    links = [cite_paper(label, study) for label in said.references]
    return f"#{typst_string(said.text)}{''.join(f' {link}' for link in links)}"


def _choice(study: Study, model: Model | None) -> Drawn:
    return chip(study, model, named=True) if model else Drawn("<i>open</i>", "#emph[open]", "open")


def tiles(study: Study) -> Iterator[Tile]:
    """Yield accuracy, time for one image and weights of the two compared, and the weakest class."""
    best = study.best
    if best is None or not study.learned:
        return
    pair = sorted(study.pair or (best,), key=lambda model: model is not best)
    if best not in pair:
        pair = [best]
    marks = " : ".join(letters(study)[model.key] for model in pair)
    yield Tile(_both([percent(model.accuracy.value) for model in pair]), f"right on test, {marks}")
    costs = [model.cost for model in pair if model.cost]
    if len(costs) == len(pair):
        shows: list[tuple[Callable[..., str], str]] = [
            (lambda cost: latency(cost.latency_seconds.value), "for one image"),
            (lambda cost: duration(cost.train_seconds.value), "of training"),
            (lambda cost: data_size(cost.parameter_bytes), "of weights"),
        ]
        for show, what in shows[:: 2 if len(study.classes) > 1 else 1]:
            yield Tile(_both([show(cost) for cost in costs]), f"{what}, {marks}")
    recall = best.metrics.recall
    weakest = min((k for k, images in enumerate(best.metrics.support) if images), key=lambda k: recall[k])
    share = percent(float(recall[weakest]), 0)
    yield Tile(f"{cut(study.classes[weakest], 14)}: {share}", f"weakest class of {letters(study)[best.key]}")


def _both(values: list[str]) -> str:
    """78.8 % and 64.7 % → 78.8 : 64.7 %."""
    units = {value.partition(NBSP)[2] for value in values}
    if len(units) > 1 or len(values) < 2:
        return " : ".join(values)
    return f"{' : '.join(value.partition(NBSP)[0] for value in values)}{NBSP}{units.pop()}"


def tones() -> str:
    """Return the models' colours as CSS, light and dark."""
    light = "".join(f"--m{i}:{tone.light};" for i, tone in enumerate(MODEL_TONES))
    dark = "".join(f"--m{i}:{tone.dark};" for i, tone in enumerate(MODEL_TONES))
    return f":root{{{light}}}@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"
