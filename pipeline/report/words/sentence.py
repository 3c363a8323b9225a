"""Sentence: one computed statement, with the rule that wrote it, its numbers and where to look."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pipeline.report.words.english import escape_markdown, unbroken


@dataclass(frozen=True)
class Sentence:
    """``text`` is plain text; ``references`` are ids of figures and tables (``fig-…``, ``tbl-…``)."""

    text: str
    rule: str
    evidence: dict[str, Any] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)

    @property
    def markdown(self) -> str:
        """The sentence as Markdown, its references in brackets before the full stop."""
        return self.cited()

    def cited(self, known: Collection[str] | None = None) -> str:
        """Return the sentence as Markdown with those references that are ``known`` (None: all)."""
        shown = [name for name in self.references if known is None or name in known]
        text = unbroken(self.text)
        if not shown:
            return escape_markdown(text)
        cited = ", ".join(f"@{name}" for name in shown)
        return f"{escape_markdown(text.removesuffix('.'))} ({cited})."

    @property
    def as_dict(self) -> dict[str, Any]:
        """What ``verdict`` in results.json holds of it."""
        return {
            "text": self.text,
            "rule": self.rule,
            "evidence": self.evidence,
            "references": self.references,
        }


def paragraph(sentences: list[Sentence], known: Collection[str] | None = None) -> str:
    """Return sentences as one paragraph of Markdown."""
    return " ".join(sentence.cited(known) for sentence in sentences)
