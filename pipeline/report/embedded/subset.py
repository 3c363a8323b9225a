"""The subset of Quarto that the embedded renderer knows; all else is refused by name and line."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.errors import UnsupportedSyntaxError, did_you_mean, one_line
from pipeline.report.embedded.document import INLINE, Cell, Document, Text
from pipeline.report.embedded.yaml_lines import LocatedMapping


class Allowed(NamedTuple):
    """What the value of an option may be, in words and as a check."""

    words: str
    accepts: Callable[[Any], bool]


def _only(*values: Any) -> Allowed:
    words = " or ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)
    return Allowed(
        words, lambda value: any(value is v or (value == v and type(value) is type(v)) for v in values)
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _is_includes(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(
        isinstance(item, str) or (isinstance(item, dict) and set(item) in ({"text"}, {"file"}))
        for item in items
    )


BOOL = _only(True, False)
TEXT = Allowed("text", lambda v: isinstance(v, str))
TEXTS = Allowed("text or a list of texts", _is_texts)
COUNT = Allowed("a whole number from 1", lambda v: type(v) is int and v >= 1)
NUMBER = Allowed("a number above 0", lambda v: type(v) in (int, float) and v > 0)
NUMBERS = Allowed("a list of numbers", lambda v: isinstance(v, list) and all(NUMBER.accepts(n) for n in v))
INCLUDES = Allowed("a file, {file: ...}, {text: ...} or a list of them", _is_includes)
MAPPING = Allowed("keys and values", lambda v: isinstance(v, dict))
LENGTHS = Allowed("keys and values, as {x: 2cm, y: 2.5cm}", MAPPING.accepts)
CELL_OPTIONS: dict[str, Allowed] = {
    "label": TEXT,
    "tags": TEXTS,
    "fig-cap": TEXTS,
    "fig-subcap": TEXTS,
    "fig-alt": TEXTS,
    "tbl-cap": TEXT,
    "tbl-colwidths": NUMBERS,
    "echo": BOOL,
    "eval": BOOL,
    "include": BOOL,
    "output": _only(True, False, "asis"),
    "warning": BOOL,
    "code-fold": _only(True, False, "show"),
    "code-summary": TEXT,
    "layout-ncol": COUNT,
    "classes": TEXTS,
}

EXECUTE_OPTIONS: dict[str, Allowed] = {
    "echo": BOOL,
    "warning": BOOL,
    "eval": BOOL,
    "include": BOOL,
    "output": _only(True, False, "asis"),
    "daemon": _only(False),
    "cache": _only(False),
    "freeze": _only(False),
    "enabled": _only(True),
}

DOCUMENT_OPTIONS: dict[str, Allowed] = {
    "title": TEXT,
    "subtitle": TEXT,
    "author": TEXTS,
    "date": TEXT,
    "abstract": TEXT,
    "abstract-title": TEXT,
    "description": TEXT,
    "keywords": TEXTS,
    "output-file": TEXT,  # for bare "quarto render"; here the caller names the output
    "lang": TEXT,
    "jupyter": _only("python3"),
    "engine": _only("jupyter"),
    "execute": MAPPING,
    "format": MAPPING,
    "toc": BOOL,
    "toc-depth": COUNT,
    "toc-title": TEXT,
    "number-sections": BOOL,
    "fig-width": NUMBER,
    "fig-height": NUMBER,
    "fig-dpi": NUMBER,
    "fig-format": _only("svg", "png", "retina"),
    "fig-align": _only("default", "center"),
    "fig-cap-location": _only("bottom"),
    "tbl-cap-location": _only("top"),
    "include-in-header": INCLUDES,
    "include-before-body": INCLUDES,
    "include-after-body": INCLUDES,
}

HTML_OPTIONS: dict[str, Allowed] = {
    "theme": _only("none"),
    "css": TEXTS,
    "pagetitle": TEXT,
    "code-fold": _only(True, False, "show"),
    "code-summary": TEXT,
    "code-copy": _only(False),
    "code-overflow": _only("scroll"),
    "anchor-sections": _only(False),
    "smooth-scroll": _only(False),
    "embed-resources": _only(True),
    "html-math-method": _only("mathml"),
    "lightbox": _only(False),
    "link-external-icon": _only(False),
    "link-external-newwindow": _only(False),
    "email-obfuscation": _only("none"),
    "format-links": _only(False),
}

TYPST_OPTIONS: dict[str, Allowed] = {
    "html-table-processing": _only("none"),
    "papersize": TEXT,
    "margin": LENGTHS,
    "mainfont": TEXT,
    "fontsize": TEXT,
    "codefont": TEXTS,
    "section-numbering": _only("1.1.1"),
    "pdf-standard": TEXTS,
    "keep-typ": _only(False),
    "columns": _only(1),
    "linkcolor": TEXT,
}

PROJECT_OPTIONS: dict[str, Allowed] = {
    "title": TEXT,
    "type": _only("default"),
    "output-dir": TEXT,
    "render": TEXTS,
    "execute-dir": _only("project", "file"),
    "resources": TEXTS,
}

FORMATS = ("html", "typst")
SHORTCODES = ("pagebreak",)


def refuse(
    file: str, line: int, what: str, known: Iterable[str] = (), name: str = ""
) -> UnsupportedSyntaxError:
    """Return the error for a part of Quarto outside the subset."""
    hint = did_you_mean(name, known) if name else ""
    listed = f"; it knows {', '.join(known)}" if known and not hint else ""
    return UnsupportedSyntaxError(
        f"{file}:{line}: {one_line(what, 160)} is not supported by the embedded renderer{listed}.{hint} "
        "Change that line, or install Quarto."
    )


def check_document(document: Document) -> None:
    """Refuse cell options, shortcodes and inline code that the subset does not hold."""
    for block in document.blocks:
        if isinstance(block, Cell):
            check_options(block.options, (), block.options.values, CELL_OPTIONS, "cell option")
            _check_label(document.name, block)
        else:
            _check_text(document.name, block)


def check_options(
    source: LocatedMapping,
    path: tuple[str, ...],
    values: Mapping[str, Any],
    known: Mapping[str, Allowed],
    kind: str,
) -> None:
    """Refuse an option whose name or value is outside ``known``, by its line in ``source``."""
    for key, value in values.items():
        line = source.line(*path, str(key))
        if key not in known:
            raise refuse(source.file, line, f"{kind} '{key}'", known, str(key))
        if value is not None and not known[key].accepts(value):
            raise refuse(source.file, line, f"{kind} '{key}: {value}' (it must be {known[key].words})")


def _check_label(name: str, cell: Cell) -> None:
    """A figure or table label needs its caption: Quarto would leave the number without words."""
    prefix = cell.label.split("-")[0]
    for wanted, caption in (("fig", "fig-cap"), ("tbl", "tbl-cap")):
        if prefix == wanted and caption not in cell.options.values:
            raise refuse(name, cell.line, f"{cell} without the option '{caption}'")
        if prefix != wanted and caption in cell.options.values and cell.label:
            raise refuse(
                name, cell.line, f"'{caption}' in {cell}, whose label does not start with '{wanted}-',"
            )


def _check_text(name: str, text: Text) -> None:
    for number, line in enumerate(_prose_lines(text.source), start=text.line):
        for shortcode in _shortcodes(line):
            if shortcode not in SHORTCODES:
                raise refuse(name, number, f"shortcode '{{{{< {shortcode} >}}}}'", SHORTCODES, shortcode)
    for match in INLINE.finditer(text.source):
        if match["language"] != "python":
            number = text.line + text.source.count("\n", 0, match.start("language"))
            raise refuse(name, number, f"inline code in '{match['language']}'", ("{python}",))


def _shortcodes(line: str) -> Iterable[str]:
    for piece in line.split("{{<")[1:]:
        yield (piece.split(">}}")[0].split() or [""])[0]


def _prose_lines(source: str) -> Iterable[str]:
    """Yield each line, emptied where it belongs to a fenced block of code."""
    fence = ""
    for line in source.splitlines():
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~"):
            fence = "" if fence == mark else fence or mark
            yield ""
        else:
            yield "" if fence else line
