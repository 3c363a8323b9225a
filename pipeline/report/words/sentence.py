"""Sentence: one computed statement, with the rule that wrote it, its facts and where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from pipeline.report.model import Model
from pipeline.report.words.english import escape_markdown, unbroken

FOUND_NOTHING = (
    "data.balanced",
    "data.augmentation.none",
    "errors.labels.none",
    "errors.all-miss.none",
)  # told in one list


@dataclass(frozen=True)
class Sentence:
    """``text`` is plain text made of ``facts``; ``references`` are ids of figures and tables."""

    text: str
    rule: str
    facts: Any = field(default_factory=dict)
    references: tuple[str, ...] = ()

    @property
    def evidence(self) -> Any:
        """The facts as results.json holds them: dictionaries, and models by their keys."""
        return _evidence(self.facts)

    @property
    def markdown(self) -> str:
        """The sentence as Markdown, without its references."""
        return self.citing(())

    def citing(self, links: Sequence[str]) -> str:
        """Return the sentence as Markdown with links in brackets before its full stop."""
        text, cited = unbroken(self.text), ", ".join(links)
        return f"{escape_markdown(text.removesuffix('.'))} ({cited})." if cited else escape_markdown(text)

    @property
    def as_dict(self) -> dict[str, Any]:
        """What ``verdict`` in results.json holds of it."""
        return {
            "text": self.text,
            "rule": self.rule,
            "evidence": self.evidence,
            "references": list(self.references),
        }


def _evidence(value: Any) -> Any:
    if isinstance(value, Model):
        return value.key
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _evidence(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {_evidence(key): _evidence(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_evidence(content) for content in value]
    return value
