"""Figures and tables of a study: numbered, titled by what they show, and absent where they show nothing.

Each says for itself when it has something to show, beside the code that fills it; else it leaves no caption
and no number behind, and no sentence refers to it. Both engines show the same: HTML and Typst made here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, wraps

from IPython.display import Markdown
from matplotlib.figure import Figure

from pipeline.report.look import svg, theme
from pipeline.report.look.markup import data_link, raw, text, typst_picture, typst_string
from pipeline.report.look.table import Drawn, Table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.sentence import Sentence

Content = Figure | Sequence[Figure] | Table | Drawn
When = Callable[[Study], object]  # true or not empty where there is something to show
Title = Callable[[Study], str]  # what it shows, in words
Shows = Callable[[Study], Content]
Data = Callable[[Study], "Content | Float | Markdown"]

NOTHING = "<!-- -->"  # Quarto leaves inline code as it stands where its result is empty
MOST_MODELS = 12  # side by side in one figure or table
MOST_WIDE = 4.7  # inches of paper that leave room for words beside a figure
KINDS = {"fig": "Figure", "tbl": "Table"}

# The order in which the report shows them; each has its number only where it has something to show.
BODY = (
    "tbl-headline", "fig-samples", "fig-network", "tbl-recipe", "fig-curves", "fig-accuracy",
    "fig-efficiency", "fig-tuning", "fig-per-class", "fig-confusion", "tbl-errors", "fig-slices",
    "fig-shortcuts", "fig-explanations", "fig-calibration", "fig-conditions", "tbl-elsewhere",
    "fig-pareto", "tbl-cost", "tbl-tradeoffs",
)  # fmt: skip
APPENDIX = (
    "tbl-tasks", "tbl-recommend", "fig-balance", "tbl-models", "tbl-layers", "fig-learning",
    "tbl-learning", "tbl-scores", "tbl-tests", "tbl-efficiency", "tbl-tuning", "tbl-per-class", "tbl-f1",
    "tbl-confused", "tbl-all-miss", "tbl-agreement", "tbl-label-errors", "tbl-duplicates",
    "tbl-slices", "tbl-shortcuts", "tbl-conditions", "fig-reliability", "tbl-calibration", "tbl-runs",
)  # fmt: skip

_WHEN: dict[str, When] = {}  # by label, filled by the decorators below
SHOWN: dict[str, Callable[[Study], "Float | Markdown"]] = {}  # the same


@dataclass(frozen=True)
class Float:
    """One figure or table as the report shows it."""

    label: str
    number: str  # as "Figure 3"
    title: str  # what it shows, as a statement or a name
    content: Content
    reading: str  # how to read it
    alternative: str = ""  # of a figure, for those who do not see it
    wide: bool = False  # whether it needs all of the paper's width
    data: Table | None = None  # the numbers behind a figure
    files: Sequence[str] = ()  # its drawings as SVG, where the page shows something else

    def _repr_markdown_(self) -> str:
        return str(raw(self._page(), self._paper()).data)

    def _page(self) -> str:
        numbered = f'<a class="number" href="#{self.label}">{self.number}</a>'
        title = f'<p class="finding" id="{self.label}-title">{numbered} {text(self.title)}</p>'
        return (
            f'<figure id="{self.label}" class="{self.label[:3]}" aria-labelledby="{self.label}-title">\n'
            f"{title}\n{self._content_on_page()}\n"
            f"<figcaption>{text(self.reading)}{self._links()}</figcaption>\n</figure>"
        )

    def _content_on_page(self) -> str:
        if isinstance(self.content, Table):
            return self.content.html
        if isinstance(self.content, Drawn):
            return self.content.page
        pictures = [
            f'<img src="{data_link(panel, "image/svg+xml")}" alt="{text(self._alternative(number))}">'
            for number, panel in enumerate(self.drawings)
        ]
        kind = "small" if self._small else f"n{min(len(pictures), 3)}"
        return f'<div class="panels {kind}">{"".join(pictures)}</div>'

    def _links(self) -> str:
        """Return links to numbers and drawings as files that are in the page.

        Drawings that the page shows get their links there, without their bytes standing in it twice.
        """
        source = self.content if isinstance(self.content, Table) else self.data
        files = [("CSV", f"{self.label}.csv", data_link(source.csv, "text/csv"))] if source else []
        for number, drawing in enumerate(self.files, 1):
            more = str(number) if len(self.files) > 1 else ""
            address = data_link(drawing, "image/svg+xml")
            files.append((f"SVG {more}".rstrip(), f"{self.label}{more}.svg", address))
        return "".join(
            f' <a class="file" download="{file}" href="{address}">{words}</a>'
            for words, file, address in files
        )

    @cached_property
    def drawings(self) -> list[str]:
        """The drawings as SVG, for page and paper: drawing takes longer than all else."""
        assert not isinstance(self.content, Table | Drawn)
        return [svg.write(one) for one in _figures(self.content)]

    @property
    def _small(self) -> bool:
        """Whether its drawings are of the size of which a phone shows two in a row."""
        assert not isinstance(self.content, Table | Drawn)
        return _figures(self.content)[0].get_figwidth() <= theme.SMALL

    def _alternative(self, panel: int) -> str:
        """Say what a drawing shows, and of several which it is, by its own label where it has one."""
        assert not isinstance(self.content, Table | Drawn)
        one = _figures(self.content)[panel]
        more = str(one.get_label()) or (f"panel {panel + 1}" if panel else "")
        return f"{self.alternative} ({more})" if more else self.alternative

    def _paper(self) -> str:
        words = ", ".join(map(typst_string, (self.label, self.number, self.title, self.reading)))
        if self.label.startswith("tbl"):
            return f"#sheet({words}, small: {str(self.label in APPENDIX).lower()}, {self._on_paper()})"
        return f"#plate({words}, width: {self._width}, {self._on_paper()})"

    @property
    def _width(self) -> str:
        """How wide a figure is on paper; ``none`` of one that needs all of it, and has its words above it."""
        if isinstance(self.content, Table | Drawn):
            return "none" if self.wide else "12cm"
        panels = len(self.drawings)
        if panels > 3 or (panels > 1 and self.wide and not self._small):
            return "none"
        if panels > 1 and not self._small:
            return "12cm"
        scale = 0.77 if self.label in APPENDIX else 0.84  # words are as large as those beside it
        return f"{min(scale * panels * _figures(self.content)[0].get_figwidth(), MOST_WIDE):.2f}in"

    @property
    def on_paper(self) -> str:
        """What the PDF shows of it, as Typst markup."""
        return self.content.paper if isinstance(self.content, Drawn) else f"#{self._on_paper()}"

    def _on_paper(self) -> str:
        if isinstance(self.content, Table):
            return self.content.typst
        if isinstance(self.content, Drawn):
            return f"[{self.content.paper}]"
        pictures = [
            typst_picture(panel, self._alternative(number)) for number, panel in enumerate(self.drawings)
        ]
        if len(pictures) == 1:
            return pictures[0]
        return f"grid(columns: (1fr,) * {self._columns}, gutter: 6pt, {', '.join(pictures)})"

    @property
    def _columns(self) -> int:
        """Into how many columns the paper sets the drawings."""
        count = len(self.drawings)
        if self._small:
            return min(count, 4 if self.label in APPENDIX else 3)
        return 2 if count in (2, 4) else 3


def always(_: Study) -> bool:
    return True


def two_models(study: Study) -> bool:
    return len(study.models) > 1


def figure(
    label: str,
    reading: str,
    title: Title,
    when: When = always,
    alternative: str = "",
    data: Data | None = None,
    wide: bool = False,
) -> Callable[[Shows], Callable[[Study], Float | Markdown]]:
    """Decorate a figure of a study's models, drawn in the report's style, and shown ``when`` that is true."""

    def decorate(draw: Shows) -> Callable[[Study], Float | Markdown]:
        def drawn(study: Study) -> Content:
            with theme.themed():
                return draw(study)

        return _float(label, reading, title, _with_models(when), alternative, data, wide, drawn, draw)

    return decorate


def table(
    label: str,
    reading: str,
    title: Title,
    when: When = always,
    models: bool = True,
    data: Data | None = None,
) -> Callable[[Shows], Callable[[Study], Float | Markdown]]:
    """Decorate a table of a study (of its ``models``, or also without any), shown ``when`` that is true."""

    def decorate(fill: Shows) -> Callable[[Study], Float | Markdown]:
        shown = _with_models(when) if models else when
        return _float(label, reading, title, shown, "", data, True, fill, fill)

    return decorate


def named(words: str) -> Title:
    """Return the title of what bears the same name in every study."""
    return lambda _: words


def cite(label: str, study: Study) -> str:
    """Return a link to a figure or table as Markdown, as [Figure 3](#fig-curves)."""
    return f"[{number(label, study)}](#{label})"


def cite_page(label: str, study: Study) -> str:
    """Return the same as HTML."""
    return f'<a href="#{label}">{number(label, study)}</a>'


def cite_paper(label: str, study: Study) -> str:
    """Return the same as Typst."""
    return f"#link(<{label}>)[{number(label, study)}]"


def has(label: str, study: Study) -> bool:
    """Return whether a figure or table has something to show. Raises KeyError for one that is none."""
    return bool(_WHEN[label](study))


def number(label: str, study: Study) -> str:
    """Return "Figure 3" for the third figure of the report that has something to show."""
    before = [one for one in (*BODY, *APPENDIX) if one[:3] == label[:3] and has(one, study)]
    return f"{KINDS[label[:3]]}\u00a0{before.index(label) + 1}"


def referring(sentences: Iterable[Sentence | None], study: Study) -> list[Sentence]:
    """Return the sentences, each with those of its references that have something to show.

    Raises KeyError for a reference that is no figure or table of the report.
    """
    return [
        replace(found, references=tuple(label for label in found.references if has(label, study)))
        for found in sentences
        if found
    ]


def shown_models(study: Study, most: int = MOST_MODELS) -> list[Model]:
    """Return at most ``most`` models in params order: the two compared, and then the best on val."""
    pair = study.pair or ()
    ranked = sorted(study.models, key=lambda model: (model not in pair, -model.val_accuracy))
    return [model for model in study.models if model in ranked[:most]]


def _float(
    label: str,
    reading: str,
    title: Title,
    when: When,
    alternative: str,
    data: Data | None,
    wide: bool,
    show: Shows,
    named: Shows,
) -> Callable[[Study], Float | Markdown]:
    _WHEN[label] = when

    @wraps(named)
    def shown(study: Study) -> Float | Markdown:
        if not when(study):
            return Markdown(NOTHING)
        return Float(
            label, number(label, study), title(study), show(study), reading, alternative or title(study),
            wide, _numbers(data, study),
        )  # fmt: skip

    SHOWN[label] = shown
    return shown


def _numbers(data: Data | None, study: Study) -> Table | None:
    """Return the table behind a figure, which may be one that the report shows as well."""
    found = data(study) if data else None
    found = found.content if isinstance(found, Float) else found
    return found if isinstance(found, Table) else None


def _with_models(when: When) -> When:
    return lambda study: study.models and when(study)


def _figures(content: Figure | Sequence[Figure]) -> Sequence[Figure]:
    return [content] if isinstance(content, Figure) else content
