"""What ``_quarto.yml`` and the document's header ask for, merged for one output format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.report.embedded import subset
from pipeline.report.embedded.document import Cell, Document
from pipeline.report.embedded.yaml_lines import LocatedMapping, read_located

PROJECT_FILE = "_quarto.yml"
SECTIONS = {"project": subset.PROJECT_OPTIONS, "execute": subset.EXECUTE_OPTIONS}
FORMAT_OPTIONS = {
    "html": subset.DOCUMENT_OPTIONS | subset.HTML_OPTIONS | subset.EXECUTE_OPTIONS,
    "typst": subset.DOCUMENT_OPTIONS | subset.TYPST_OPTIONS | subset.EXECUTE_OPTIONS,
}
SHARED_OPTIONS = subset.DOCUMENT_OPTIONS | subset.HTML_OPTIONS | subset.TYPST_OPTIONS


@dataclass(frozen=True)
class Configuration:
    """The options that hold for one format, and the folder that paths in them start from."""

    format: str
    root: Path
    options: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an option, or ``default`` when it is absent or null."""
        value = self.options.get(name)
        return default if value is None else value

    def execute(self, name: str, cell: Cell) -> Any:
        """Return an execution option such as ``echo``: the cell's own, or the document's."""
        own = cell.option(name)
        return self.get(name, True) if own is None else own

    def date(self) -> str:
        """Return the date as it stands, or today's for "today"."""
        text = str(self.get("date", ""))
        return Date.today().isoformat() if text in ("today", "now") else text

    def texts(self, name: str) -> list[str]:
        """Return an option that is one text or a list of them, as a list."""
        value = self.get(name, [])
        return [value] if isinstance(value, str) else list(value)

    def files(self, name: str) -> str:
        """Return the content of the files (or ``text:`` pieces) that an include option names."""
        value = self.get(name, [])
        items = value if isinstance(value, list) else [value]
        return "\n".join(self._include(name, item) for item in items)

    def _include(self, name: str, item: Any) -> str:
        if isinstance(item, dict) and "text" in item:
            return str(item["text"])
        path = self.root / (item["file"] if isinstance(item, dict) else item)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{PROJECT_FILE}: {name}: {path} cannot be read: {error}; mend it.") from None


def read_configuration(document: Document, format_name: str) -> Configuration:
    """Return the options for "html" or "typst".

    Raises UnsupportedSyntaxError for any that the embedded renderer would have to drop.
    """
    root = document.path.resolve().parent
    project = read_project(root)
    options: dict[str, Any] = {}
    for source in (project, document.header):
        _check(source)
        options |= dict(_layers(source.values, format_name))
    return Configuration(format_name, root, options)


def read_project(root: Path) -> LocatedMapping:
    """Return ``_quarto.yml`` of a folder; empty when there is none."""
    path = root / PROJECT_FILE
    try:
        return read_located(path.read_text(encoding="utf-8"), PROJECT_FILE)
    except FileNotFoundError:
        return LocatedMapping(PROJECT_FILE)


def _layers(values: Mapping[str, Any], format_name: str) -> Iterator[tuple[str, Any]]:
    """Yield the options of a file, the general ones first, so that later ones win."""
    yield from ((k, v) for k, v in values.items() if k not in ("project", "execute", "format"))
    yield from (values.get("execute") or {}).items()
    own = (values.get("format") or {}).get(format_name)
    if isinstance(own, dict):
        yield from ((k, v) for k, v in own.items() if k != "execute")
        yield from (own.get("execute") or {}).items()


def _check(source: LocatedMapping) -> None:
    general = {k: v for k, v in source.values.items() if k not in ("project", "execute", "format")}
    subset.check_options(source, (), general, SHARED_OPTIONS, "option")
    for section, known in SECTIONS.items():
        subset.check_options(source, (section,), source.values.get(section) or {}, known, f"{section} option")
    formats = source.values.get("format") or {}
    if not isinstance(formats, dict):
        raise subset.refuse(source.file, source.line("format"), f"format '{formats}'", subset.FORMATS)
    for name, options in formats.items():
        _check_format(source, name, options)


def _check_format(source: LocatedMapping, name: str, options: Any) -> None:
    if name not in subset.FORMATS:
        raise subset.refuse(source.file, source.line("format", name), f"format '{name}'", subset.FORMATS)
    own = options if isinstance(options, dict) else {}
    known = FORMAT_OPTIONS[name]
    subset.check_options(source, ("format", name), own, known, f"{name} option")
    execute = own.get("execute") or {}
    subset.check_options(
        source, ("format", name, "execute"), execute, subset.EXECUTE_OPTIONS, "execute option"
    )
