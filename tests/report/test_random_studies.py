"""What the report says of studies of random shape: nothing that their comparisons do not show."""

import json
import re
from collections.abc import Iterator

import pytest

from pipeline.report import results_json
from pipeline.report.chapters import short
from pipeline.report.chapters.recommendations import recommendations
from pipeline.report.model import Model
from pipeline.report.study import Study
from tests.report.chapters.tools import every_sentence
from tests.report.random_studies import random_study

SEEDS = range(8)
ODD = re.compile(
    r"\bnan\b|\binf\b|\bNone\b(?! of)|[{}]|  |\.\.|,,| [,.;]|\( "
    r"|\b1 (?:images|runs|classes|seeds|models|pairs)\b"
)
RELATIONS = {  # what a clause says of the models before and behind it, and the verdict that earns it
    "first": ("do(?:es)? better (?:on test )?than", "is more accurate (?:on test )?than"),
    "second": ("do(?:es)? worse than", "is less accurate (?:on test )?than"),
    "equivalent": ("is equivalent to",),
    "undecided": ("cannot be told from",),
}


@pytest.fixture(scope="module", params=SEEDS)
def study(request: pytest.FixtureRequest) -> Study:
    return random_study(request.param)


def test_every_sentence_is_whole(study: Study) -> None:
    for sentence in every_sentence(study):
        text = sentence.text.replace("\u00a0", " ")
        assert text.endswith("."), sentence.text
        assert not ODD.search(text), sentence.text
        assert not [share for share in re.findall(r"(\d[\d.]*) %", text) if float(share) > 100], sentence.text
    assert len(short.verdict(study).text.split()) <= 27  # 25 words; percent signs count as words here
    json.dumps(results_json.results(study, "none"), allow_nan=False)


def test_no_model_is_said_to_beat_another_that_it_is_not_shown_to_beat(study: Study) -> None:
    for sentence in every_sentence(study):
        for before, behind, verdict in claimed(study, sentence.text):
            assert study.test(before, behind).verdict == verdict, sentence.text


def claimed(study: Study, text: str) -> Iterator[tuple[Model, Model, str]]:
    """Yield what a sentence claims of every two models that it names."""
    models = {model.spoken.lower(): model for model in study.models}
    names = sorted(models, key=len, reverse=True)
    one = "|".join(map(re.escape, names))
    some = rf"((?:{one})(?:(?:, | and | or )(?:{one}))*)"
    for verdict, phrases in RELATIONS.items():
        for phrase in phrases:
            for found in re.finditer(rf"{some} {phrase} {some}", text, re.IGNORECASE):
                before, behind = (re.findall(one, part.lower()) for part in found.groups())
                yield from ((models[a], models[b], verdict) for a in before for b in behind)


def test_what_is_recommended_is_not_shown_to_be_worse(study: Study) -> None:
    for found in recommendations(study):
        if found.model is None:
            continue
        assert found.model in study.learned
        if found.sentence.rule == "recommend.accuracy":
            others = [model for model in study.learned if model is not found.model]
            assert {study.test(found.model, other).verdict for other in others} <= {"first", "equivalent"}
