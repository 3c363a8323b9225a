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
    assert [row[0] for row in rows] == [layer["name"] for layer in recorded]
    assert [row[3] for row in rows] == [f"{layer['parameters']:,} parameters" for layer in recorded]
    assert rows[0][2] == "64 × 32 × 32"
