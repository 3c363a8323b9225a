"""What a page and a PDF say, as text that is the same for the same words: one block a line.

Headings keep their level, references their target, pictures their alternative; widgets, which are
raw HTML to any renderer, are left out, and what differs from day to day has a word in its place.
"""

import re
from html.parser import HTMLParser
from pathlib import Path

from tests.report.paper import pages_of

BLOCKS = {
    "p",
    "li",
    "figure",
    "figcaption",
    "table",
    "tr",
    "title",
    "header",
    "footer",
    "nav",
    "h1",
    "h2",
    "h3",
}
EMPTY = {"img", "meta", "link", "br", "hr", "input", "col"}
NEUTRAL = (
    (re.compile(r"-\s?s(\d+)-\s?[0-9a-f]{8}\b"), r"-s\1-HASH"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]+ 20\d\d\b"), "DATE"),
    (re.compile(r"rendered by .*?\. All", re.DOTALL), "rendered by ENGINE. All"),
)
PAGES = re.compile(r"\s*\d+ / \d+\s*$|(?<=\.\.\.\.) \d+$", re.MULTILINE)  # in footers and contents


class _Said(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden: list[str] = []  # the open elements below one that is not read

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self.hidden or tag in ("script", "style") or "widget" in given.get("class", "").split():
            self.hidden += [] if tag in EMPTY else [tag]
        elif tag == "img":
            self.parts.append(f"\nPicture: {given.get('alt')}\n")
        elif re.fullmatch("h[1-6]", tag):
            self.parts.append(f"\n\n{'#' * int(tag[1])} ")
        elif tag in ("td", "th"):
            self.parts.append(" | ")
        elif tag == "a" and given.get("href", "").startswith("#"):
            self.parts.append(f"({given['href']} ")
        else:
            self.parts.append("\n" if tag in BLOCKS else "")

    def handle_endtag(self, tag: str) -> None:
        if self.hidden:
            while self.hidden.pop() != tag:  # as <p> and <li> may be left open
                pass
        elif tag == "a":
            self.parts.append(")")
        else:
            self.parts.append("\n" if tag in BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data.replace("\n", " "))


def page_says(page: str) -> str:
    """Return what a page says."""
    said = _Said()
    said.feed(page)
    lines = (" ".join(line.split()) for line in "".join(said.parts).split("\n"))
    return _neutral("\n".join(line for line in lines if line) + "\n")


def paper_says(pdf: Path) -> str:
    """Return what a PDF says, without what depends on where its pages end."""
    lines: list[str] = []
    for page in pages_of(pdf):
        found = PAGES.sub("", page).splitlines()
        while found and found[0] in lines:  # the header of a table that goes on
            del found[0]
        lines += found
    words = _neutral(" ".join(" ".join(lines).split()))
    return re.sub(r"(?<=[.:)]) ", "\n", words) + "\n"


def vocabulary(text: str) -> set[str]:
    """Return the words of a text: in a PDF lines end, figures float and heads repeat where they will."""
    return set(re.findall(r"\w+", text))


def _neutral(text: str) -> str:
    for pattern, word in NEUTRAL:
        text = pattern.sub(word, text)
    return text
