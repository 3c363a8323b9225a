"""Checked and found nothing: what was looked for and is not there, each with the rule that looked."""

from collections.abc import Callable, Iterable
from types import ModuleType

from pipeline.report.look.paragraph import Points
from pipeline.report.study import Study
from pipeline.report.words.english import number_word
from pipeline.report.words.sentence import FOUND_NOTHING, Sentence

Rule = Callable[[Study], Sentence | None]


def words(study: Study) -> Points:
    """Return a sentence for each thing that was looked for and not found."""
    rules: tuple[Rule, ...] = (_failed, _unreadable, _copies, _chance)
    return Points(study, [rule(study) for rule in rules] if study.models else [])


def listed(study: Study, chapters: Iterable[ModuleType]) -> Points:
    """Return the same with what ``chapters`` looked for and did not find."""
    every = [one for chapter in chapters for one in chapter.words(study) if one.rule in FOUND_NOTHING]
    return Points(study, [*words(study), *every], everything=True)


def _failed(study: Study) -> Sentence | None:
    if study.failures or study.apart:
        return None
    runs = len(study.records)
    text = f"Failed runs: none of the {number_word(runs)}." if runs > 1 else "Failed runs: none."
    return Sentence(text, "checked.failed", {"runs": runs})


def _unreadable(study: Study) -> Sentence | None:
    if study.dataset is None or study.dataset.unreadable:
        return None
    return Sentence(
        "Files that cannot be read as images: none.",
        "checked.unreadable",
        {"unreadable": 0, "of": study.dataset.name},
    )


def _copies(study: Study) -> Sentence | None:
    found = study.dataset
    if found is None or found.near_duplicates or not found.near_duplicates_note:
        return None
    text = f"Copies of test images in train: none was found. {found.near_duplicates_note.rstrip('.')}."
    return Sentence(text, "checked.copies", {"near_duplicates": 0, "note": found.near_duplicates_note})


def _chance(study: Study) -> Sentence | None:
    if study.unlearned:
        return None
    text = "Models that cannot be told from always naming the commonest class: none."
    return Sentence(text, "checked.chance", {"models": [model.key for model in study.models]})
