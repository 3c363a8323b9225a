"""The words of a PDF."""

import re
from pathlib import Path

from pypdfium2 import PdfDocument

WITHIN_WORDS = re.compile("\u200b\\s*")  # where a word may break
HYPHENS = re.compile("\ufffe\\s*")  # at the end of a line


def pages_of(pdf: bytes | Path) -> list[str]:
    """Return the text of each page of a PDF, line by line, with its words whole."""
    with PdfDocument(pdf) as document:
        texts = [page.get_textpage().get_text_range() for page in document]
    return [HYPHENS.sub("-", WITHIN_WORDS.sub("", text)) for text in texts]


def words_of(pdf: bytes | Path) -> str:
    """Return the words of a PDF, with every kind of blank as one space."""
    return " ".join(" ".join(pages_of(pdf)).split())
