"""Numbers for sections, figures and tables, and the references that cite them."""

import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.report.embedded.cells import make_float
from pipeline.report.embedded.checks import REFERENCES
from pipeline.report.embedded.headings import section_numbers
from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tree import (
    Node,
    attributes,
    blocks_of,
    classes,
    has_class,
    identifier,
    node,
    nodes,
    plain_text,
    raw_inline,
    text,
    walk,
)

WORDS = {"fig": "Figure", "tbl": "Table", "sec": "Section"}


@dataclass(frozen=True)
class Label:
    """What a reference to an element says: its kind ("fig", "tbl", "sec", "sub") and its number."""

    kind: str
    number: str

    @property
    def words(self) -> str:
        """The text of a reference, as "Figure 3" or "Figure 3 (a)"."""
        return f"{WORDS['fig' if self.kind == 'sub' else self.kind]} {self.number}"


@dataclass
class Numbering:
    """Counts figures and tables in the order of the document."""

    labels: dict[str, Label] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: {"fig": 0, "tbl": 0})
    parts: int = 0

    def read(self, blocks: list[Node]) -> dict[str, Label]:
        """Return the label of every element that can be cited."""
        self.labels |= {key: Label("sec", number) for key, number in section_numbers(blocks).items()}
        for element in nodes(blocks):
            if has_class(element, "Div", "headstart-float") and identifier(element):
                self._float(element)
        return self.labels

    def _float(self, element: Node) -> None:
        kind = attributes(element)["kind"]
        if kind == "sub":
            self.parts += 1
            number = f"{self.counts['fig']} ({string.ascii_lowercase[self.parts - 1]})"
        else:
            self.counts[kind] += 1
            self.parts = 0
            number = str(self.counts[kind])
        self.labels[identifier(element)] = Label(kind, number)


def find_floats(blocks: list[Node], origins: Origins) -> list[Node]:
    """Return blocks in which Markdown's own figures and captioned tables have the neutral form."""
    found: list[Node] = walk(blocks, lambda element: _as_float(element, origins))
    return found


def _as_float(element: Node, origins: Origins) -> list[Node]:
    label = identifier(element) if element["t"] in ("Figure", "Table", "Div") else ""
    if element["t"] == "Figure":
        _, (_, caption), content = element["c"]
        return [make_float("fig", label, caption, content)]
    if element["t"] == "Table" and element["c"][1][1]:
        bare = node("Table", [["", *element["c"][0][1:]], [None, []], *element["c"][2:]])
        return [make_float("tbl", label, element["c"][1][1], [bare])]
    if element["t"] == "Div" and label[:4] in ("fig-", "tbl-") and "headstart-float" not in classes(element):
        *content, caption = blocks_of(element) or [node("Null", [])]
        if caption["t"] != "Para" or not content:
            raise origins.wrong(
                f"'#{label}' has no caption; end its ::: block with a paragraph.", f"#{label}"
            )
        inner = node("Div", ["", *element["c"][0][1:]], content)
        return [make_float(label[:3], label, [caption], [inner])]
    return [element]


@dataclass(frozen=True)
class Resolver:
    """Turns ``@fig-x`` into a link that says "Figure 3"."""

    labels: dict[str, Label]
    format: str
    numbered_sections: bool
    origins: Origins

    def resolve(self, blocks: list[Node]) -> list[Node]:
        """Return blocks with every reference resolved; raise RenderError for one to nothing."""
        resolved: list[Node] = walk(blocks, self._visit)
        return resolved

    def _visit(self, element: Node) -> list[Node]:
        if element["t"] != "Cite":
            return [element]
        citations = element["c"][0]
        links: list[Node] = []
        for citation in citations:
            links += [*(text(", ") if links else []), *self._link(citation)]
        return links

    def _link(self, citation: dict[str, Any]) -> Iterator[Node]:
        label, target = self._label(citation)
        if citation["citationSuffix"]:
            suffix = plain_text(citation["citationSuffix"]).strip()
            raise self.origins.refuse(f"the text '{suffix}' after the reference '@{target}'", f"@{target}")
        words = text(label.words.replace(" ", "\u00a0"))
        if citation["citationMode"]["t"] == "SuppressAuthor":
            words = text(label.number)
        elif citation["citationPrefix"]:
            words = [*citation["citationPrefix"], {"t": "Space"}, *text(label.number)]
        yield from self._anchor(target, words)

    def _label(self, citation: dict[str, Any]) -> tuple[Label, str]:
        target = citation["citationId"]
        if target.split("-")[0] not in REFERENCES:
            raise self.origins.refuse(f"the citation '@{target}'", f"@{target}", REFERENCES)
        if target not in self.labels:
            raise self.origins.wrong(
                f"'@{target}' refers to nothing; label a cell or heading so.", f"@{target}"
            )
        label = self.labels[target]
        if label.kind == "sec" and not self.numbered_sections:
            raise self.origins.wrong(f"'@{target}' needs 'number-sections: true'.", f"@{target}")
        return label, target

    def _anchor(self, target: str, words: list[Node]) -> list[Node]:
        if self.format == "html":
            return [node("Link", ["", ["quarto-xref"], []], words, [f"#{target}", ""])]
        return [raw_inline("typst", f"#link(<{target}>)["), *words, raw_inline("typst", "]")]
