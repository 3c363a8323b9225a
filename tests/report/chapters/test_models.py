import pytest

from pipeline.report.chapters import (
    models,
)
from tests.report.chapters.tools import (
    grid,
)
from tests.report.conftest import StudyOf


def test_layers_are_those_of_the_custom_network(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    rows = grid(models.network(study).data)[1:]
    recorded = study.custom.network.layers
    assert [row[0] for row in rows] == [models.stage_name(layer["name"]) for layer in recorded]
    assert [row[3] for row in rows] == [f"{layer['parameters']:,} parameters" for layer in recorded]
    assert rows[0][2] == "64 × 32 × 32"


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ("stages.0", "stage 1"),
        ("blocks.2 to blocks.4", "block 3 to block 5"),
        ("layer1", "layer1"),
        ("stages.1.0", "stage 2.1"),
        ("stages.2.blocks.3", "stage 3 block 4"),
        ("blocks.0.conv", "block 1 conv"),
        ("features.3", "features.3"),
        ("Conv2d_2b_3x3", "Conv2d_2b_3x3"),
    ],
)
def test_numbered_stages_are_counted_from_one(recorded: str, shown: str) -> None:
    assert models.stage_name(recorded) == shown
