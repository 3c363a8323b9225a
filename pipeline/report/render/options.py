"""The YAML that the embedded renderer knows: of ``_quarto.yml``, of the document's header and of cells.

What stands in none of these tables is refused by its name and line, and so is a value that means
something else than what the renderer does.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InputError, UnsupportedSyntaxError, did_you_mean, one_line

PROJECT_FILE = "_quarto.yml"

# An option's value is of a type, one of a tuple, or again a table.
PROJECT: Mapping[str, Any] = {
    "project": {"title": str, "output-dir": str, "execute-dir": ("project",), "render": list},
    "execute": {"daemon": (False,), "echo": (False,), "warning": (False,)},
    "lang": str,
    "toc": bool,
    "toc-depth": int,
    "fig-format": ("svg",),
    "format": {
        "html": {
            "pagetitle": str,
            "toc": bool,
            "theme": ("none",),
            "css": str,
            "include-in-header": str,
            "include-before-body": str,
            "include-after-body": str,
            "embed-resources": (True,),
            "html-math-method": ("mathml",),
            "anchor-sections": (False,),
            "code-copy": (False,),
            "smooth-scroll": (False,),
            "html-table-processing": ("none",),
        },
        "typst": {
            "toc": (False,),
            "papersize": str,
            "pdf-standard": str,
            "html-table-processing": ("none",),
            "include-before-body": str,
        },
    },
}
HEADER: Mapping[str, Any] = {"output-file": str, "jupyter": ("python3",)}
CELL: Mapping[str, Any] = {
    "label": str,
    "tags": list,
    "include": bool,
    "eval": bool,
    "fig-cap": str,
    "fig-alt": str,
    "tbl-cap": str,
}
WORDS = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}


def read(text: str, file: str, known: Mapping[str, Any], what: str, first_line: int = 1) -> dict[str, Any]:
    """Return a YAML mapping whose first line is ``first_line`` of ``file``; ``what`` its keys are called.

    Raises InputError for YAML that is none, UnsupportedSyntaxError for what is not ``known``.
    """
    text = text.rstrip()
    try:
        root, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        problem = one_line(getattr(error, "problem", None) or error, 120)
        raise InputError(f"{file}:{line}: is not valid YAML: {problem}; mend that line.") from None
    if values is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{file}:{first_line}: must be keys and values, as 'lang: en'.")
    _check(root, values, known, what, lambda node: f"{file}:{first_line + node.start_mark.line}")
    return dict(values)


def read_project(root: Path) -> dict[str, Any]:
    """Return the content of ``_quarto.yml`` in a folder."""
    path = root / PROJECT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; it must stand beside the document.") from None
    return read(text, PROJECT_FILE, PROJECT, "option")


def of_format(project: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the options that hold for "html" or "typst": its own, and the general ones."""
    return {**project, **((project.get("format") or {}).get(name) or {})}


def file_of(options: Mapping[str, Any], name: str, root: Path) -> Path | None:
    """Return the file that an option names, None where it is not set."""
    if name not in options:
        return None
    path = root / str(options[name])
    if not path.is_file():
        raise InputError(f"{PROJECT_FILE}: {name}: {options[name]} is not a file; mend its path.")
    return path


def _check(
    node: yaml.MappingNode,
    values: Mapping[Any, Any],
    known: Mapping[str, Any],
    what: str,
    place: Callable[[yaml.Node], str],
) -> None:
    for (key, below), value in zip(node.value, values.values(), strict=False):
        name, allowed = str(key.value), known.get(key.value)
        if allowed is None:
            raise unsupported(place(key), f"{what} '{name}'", known, name)
        if isinstance(allowed, Mapping) and isinstance(below, yaml.MappingNode):
            _check(below, value, allowed, f"{name} option", place)
        elif wanted := _wanted(value, allowed):
            raise unsupported(place(key), f"{what} '{name}: {value}' (it must be {wanted})")


def _wanted(value: Any, allowed: Any) -> str:
    """Return what a value must be, or an empty string for one that is right."""
    if isinstance(allowed, Mapping):
        return "keys and values"
    if isinstance(allowed, type):
        return "" if type(value) is allowed else WORDS[allowed]
    fits = any(value == one and type(value) is type(one) for one in allowed)
    return "" if fits else " or ".join(str(one).lower() for one in allowed)


def unsupported(place: str, what: str, known: Iterable[str] = (), name: str = "") -> UnsupportedSyntaxError:
    """Return the error for ``what`` stands at a place such as "report.qmd:12" and is not supported.

    ``known`` are the names that are, of which the closest to ``name`` is suggested.
    """
    names = list(known)
    hint = did_you_mean(name, names) if name else ""
    listed = f"; it knows {', '.join(names)}" if names and not hint else ""
    return UnsupportedSyntaxError(
        f"{place}: {one_line(what, 160)} is not supported by the embedded renderer{listed}.{hint} "
        "Change that line, or install Quarto."
    )
