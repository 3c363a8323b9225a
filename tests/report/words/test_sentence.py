from dataclasses import replace

import pypandoc

from pipeline.report.words.english import unbroken
from pipeline.report.words.numbers import NBSP
from pipeline.report.words.sentence import Sentence
from tests.report.chapters.tools import (
    every_sentence,
)
from tests.report.conftest import StudyOf


def test_hostile_names_cannot_become_markup(study_of: StudyOf) -> None:
    study = study_of("hostile_names")
    for sentence in every_sentence(study):
        shown = pypandoc.convert_text(
            replace(sentence, references=()).markdown, "plain", format="markdown", extra_args=["--wrap=none"]
        )
        assert shown.strip() == unbroken(sentence.text)


def test_references_stand_in_brackets_before_the_full_stop() -> None:
    sentence = Sentence("It is 5 % better.", "rule", references=("fig-accuracy", "tbl-tests"))
    links = ["[Figure 1](#fig-accuracy)", "[Table 2](#tbl-tests)"]
    assert (
        sentence.citing(links) == f"It is 5{NBSP}% better ([Figure 1](#fig-accuracy), [Table 2](#tbl-tests))."
    )
    assert sentence.citing([]) == sentence.markdown == f"It is 5{NBSP}% better."


def test_evidence_holds_models_by_their_keys(study_of: StudyOf) -> None:
    study = study_of("tie")
    first, second = study.models
    facts = {"best": first, "scores": {second: 0.5}, "pair": (first, second)}
    assert Sentence("x", "rule", facts).evidence == {
        "best": first.key, "scores": {second.key: 0.5}, "pair": [first.key, second.key]
    }  # fmt: skip
