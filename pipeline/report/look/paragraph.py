"""Computed sentences as the report shows them: a paragraph, or a list."""

from collections.abc import Iterable, Iterator

from pipeline.report.look.floats import referring
from pipeline.report.study import Study
from pipeline.report.words.sentence import Sentence

NOTHING = "<!-- -->"  # Quarto leaves inline code as it stands where its result is empty


class Words:
    """Sentences of one paragraph; it cites nothing that the prose before it has ``told`` of."""

    def __init__(self, study: Study, sentences: Iterable[Sentence | None], told: Iterable[str] = ()) -> None:
        self.sentences = referring(sentences, study)
        self.told = tuple(told)

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self.sentences)

    def _repr_markdown_(self) -> str:
        parts, told = [], set(self.told)
        for sentence in self:
            parts.append(sentence.without(told))
            told.update(sentence.references)
        return " ".join(parts) or NOTHING


class Points(Words):
    """Sentences of one list, each with all that it cites."""

    def _repr_markdown_(self) -> str:
        items = "\n".join(f"- {sentence.markdown}" for sentence in self)
        return f"\n\n{items}\n\n" if items else NOTHING
