"""Of many models the same are shown everywhere, and the two compared are among them."""

import pytest

from pipeline.report.chapters import accuracy, models
from pipeline.report.look import floats
from pipeline.report.study import Study
from pipeline.report.words.sentence import Sentence
from tests.made_records import Made, MadeData
from tests.report.chapters.tools import grid, study_with
from tests.report.conftest import StudyOf

SMALL = MadeData(train=40, val=60, test=60, near_duplicates=0, label_errors=0)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Fourteen models, the worst of them the only one from scratch."""
    depths = range(1, 14)
    transfer = [Made(f"timm/net{depth}", "fine_tune", 0.7 + depth / 50) for depth in depths]
    return study_with(tmp_path_factory.mktemp("many"), Made(accuracy=0.3), *transfer, data=SMALL)


def test_the_two_compared_are_never_left_out(many: Study) -> None:
    shown = floats.shown_models(many)
    assert len(shown) == 12
    assert set(many.pair or ()) <= set(shown)
    left_out = [model for model in many.models if model not in shown]
    others = [model for model in shown if model not in (many.pair or ())]
    assert max(m.val_accuracy for m in left_out) <= min(m.val_accuracy for m in others)


def test_models_are_shown_in_params_order(many: Study) -> None:
    shown = floats.shown_models(many, 5)
    assert shown == sorted(shown, key=many.models.index)


def test_models_left_out_are_named(many: Study, study_of: StudyOf) -> None:
    columns = set(grid(accuracy.tests(many))[0][2:])
    said = models.introduction(many).data
    for letter in set("ABCDEFGHIJKLMN") - columns:
        assert f" {letter}" in said.rpartition("leaves out")[2]
    assert "leaves out" not in models.introduction(study_of("one_seed")).data


def test_a_reference_to_no_figure_or_table_is_refused(study_of: StudyOf) -> None:
    with pytest.raises(KeyError):
        floats.referring([Sentence("It is.", "rule", {}, ("fig-nowhere",))], study_of("one_model"))


def test_references_to_what_is_empty_go(study_of: StudyOf) -> None:
    sentence = Sentence("It is.", "rule", {}, ("fig-accuracy", "tbl-tests"))
    [found] = floats.referring([sentence], study_of("one_model"))
    assert found.references == ("fig-accuracy",)
