"""Computed sentences as the report shows them: a paragraph, or a list."""

from collections.abc import Iterable, Iterator

from pipeline.report.look.floats import NOTHING, cite, referring
from pipeline.report.study import Study
from pipeline.report.words.sentence import FOUND_NOTHING, Sentence


class Words:
    """Sentences of one paragraph; it cites nothing that stands beside it, which it has ``told`` of.

    What was looked for and not found it leaves to the list of that, unless it shows ``everything``.
    """

    def __init__(
        self,
        study: Study,
        sentences: Iterable[Sentence | None],
        told: Iterable[str] = (),
        everything: bool = False,
    ) -> None:
        self.study = study
        self.sentences = referring(sentences, study)
        self.told = tuple(told)
        self.everything = everything

    def __iter__(self) -> Iterator[Sentence]:
        return iter(self.sentences)

    @property
    def shown(self) -> list[Sentence]:
        return [one for one in self if self.everything or one.rule not in FOUND_NOTHING]

    def _repr_markdown_(self) -> str:
        parts, told = [], set(self.told)
        for sentence in self.shown:
            parts.append(sentence.citing(self.links(sentence, told)))
            told.update(sentence.references)
        return " ".join(parts) or NOTHING

    def links(self, sentence: Sentence, told: Iterable[str] = ()) -> list[str]:
        """Return links to what a sentence refers to and nothing before it has told of."""
        return [cite(label, self.study) for label in sentence.references if label not in set(told)]


class Points(Words):
    """Sentences of one list, each with all that it cites."""

    def _repr_markdown_(self) -> str:
        items = "\n".join(f"- {sentence.citing(self.links(sentence, self.told))}" for sentence in self.shown)
        return f"\n\n{items}\n\n" if items else NOTHING
