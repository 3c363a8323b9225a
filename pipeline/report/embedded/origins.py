"""Where in the ``.qmd`` a piece of the tree came from, so that a message can say so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import RenderError, UnsupportedSyntaxError, one_line
from pipeline.report.embedded.document import Document, Text
from pipeline.report.embedded.outputs import Output
from pipeline.report.embedded.subset import refuse


@dataclass(frozen=True)
class Origins:
    """Finds the line that holds a fragment: in the text, in a cell's options or in what it displayed."""

    document: Document
    outputs: Mapping[int, list[Output]]

    def line(self, fragment: str) -> int:
        """Return the first line with ``fragment``, or 1 when only several lines together hold it."""
        return next((line for line, text in self._lines() if fragment in text), 1)

    def refuse(self, what: str, fragment: str, known: tuple[str, ...] = ()) -> UnsupportedSyntaxError:
        """Return the error for unsupported syntax that shows as ``fragment`` in the source."""
        return refuse(self.document.name, self.line(fragment), what, known)

    def wrong(self, problem: str, fragment: str) -> RenderError:
        """Return the error for a mistake that shows as ``fragment`` in the source."""
        return RenderError(f"{self.document.name}:{self.line(fragment)}: {one_line(problem)}")

    def _lines(self) -> Iterator[tuple[int, str]]:
        for block in self.document.blocks:
            if isinstance(block, Text):
                yield from enumerate(block.source.splitlines(), start=block.line)
            else:
                yield from ((block.options.line(key), str(v)) for key, v in block.options.values.items())
        for number, outputs in self.outputs.items():
            yield from ((self.document.blocks[number].line, output.content) for output in outputs)
