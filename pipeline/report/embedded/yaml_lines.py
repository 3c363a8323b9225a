"""YAML that remembers the line of each key, so that a refusal can point at it."""

from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.errors import InputError, one_line

KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class LocatedMapping:
    """Keys and values of a piece of YAML, and the line in ``file`` that each key stands on."""

    file: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line(self, *path: str) -> int:
        """Return the line of a key given by its path from the root, or 1 when it is not there."""
        return self.lines.get(path, 1)


def read_located(text: str, file: str, first_line: int = 1) -> LocatedMapping:
    """Read a YAML mapping whose first line is ``first_line`` of ``file``.

    Dates stay text, as Quarto keeps them. Raises InputError for YAML that is no mapping.
    """
    try:
        root = yaml.compose(text, Loader=_TextDates)
        values = yaml.load(text, Loader=_TextDates)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        problem = one_line(getattr(error, "problem", None) or error, 120)
        raise InputError(f"{file}:{line}: is not valid YAML: {problem}; mend that line.") from None
    if root is None:
        return LocatedMapping(file)
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        raise InputError(f"{file}:{first_line}: must be keys and values, as 'title: A report'.")
    lines: dict[KeyPath, int] = {}
    _collect_lines(root, (), first_line, lines)
    return LocatedMapping(file, values, lines)


class _TextDates(yaml.SafeLoader):
    """SafeLoader that leaves 2026-11-22 as text."""


_TextDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _collect_lines(node: yaml.MappingNode, above: KeyPath, first: int, lines: dict[KeyPath, int]) -> None:
    for key, value in node.value:
        path = (*above, str(key.value))
        lines[path] = first + key.start_mark.line
        if isinstance(value, yaml.MappingNode):
            _collect_lines(value, path, first, lines)
