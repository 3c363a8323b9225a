"""Title, author and date: from the header, or from a YAML block that a cell displayed."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tree import Node, attributes, blocks_of, has_class, node, plain_text

KEYS = ("title", "subtitle", "abstract", "author", "date", "description", "pagetitle")


@dataclass
class Titles:
    """The title block: ``blocks`` hold title, subtitle and abstract as Markdown made them."""

    blocks: dict[str, list[Node]] = field(default_factory=dict)
    authors: list[str] = field(default_factory=list)
    date: str = ""
    description: str = ""
    page_title: str = ""

    def inlines(self, key: str) -> list[Node]:
        """Return the title or subtitle as inlines."""
        return [inline for block in self.blocks.get(key, []) for inline in block["c"]]

    def text(self, key: str) -> str:
        """Return the title or subtitle without markup."""
        return plain_text(self.blocks.get(key, []))


def read_titles(
    tree: dict[str, Any], configuration: Configuration, origins: Origins
) -> tuple[Titles, list[Node]]:
    """Return the titles, and the blocks of the document without them.

    A YAML block in the text or in a cell's output (``output: asis``) wins over the header, as in
    Quarto, so that a report can be named after its experiment.
    """
    titles = Titles(authors=configuration.texts("author"), date=configuration.date())
    titles.description = str(configuration.get("description", ""))
    titles.page_title = str(configuration.get("pagetitle", ""))
    rest: list[Node] = []
    for block in tree["blocks"]:
        if has_class(block, "Div", "headstart-title"):
            titles.blocks[attributes(block)["key"]] = blocks_of(block)
        else:
            rest.append(block)
    for key, value in tree["meta"].items():
        _set(titles, key, value, configuration, origins)
    return titles, rest


def _set(titles: Titles, key: str, value: Node, configuration: Configuration, origins: Origins) -> None:
    if key not in KEYS:
        raise origins.refuse(f"'{key}' in a YAML block of the text", f"{key}:", KEYS)
    if key in ("title", "subtitle", "abstract"):
        titles.blocks[key] = value["c"] if value["t"] == "MetaBlocks" else [node("Plain", value["c"])]
    elif key == "author":
        items = value["c"] if value["t"] == "MetaList" else [value]
        titles.authors = [plain_text(item) for item in items]
    elif key == "date":
        options = {**configuration.options, "date": plain_text(value)}
        titles.date = Configuration(configuration.format, configuration.root, options).date()
    elif key == "pagetitle":
        titles.page_title = plain_text(value)
    else:
        titles.description = plain_text(value)
