"""The made-up runs that reports at scale are timed with are whole to Headstart itself."""

from pathlib import Path

from bench.report_at_scale import write_runs
from pipeline.experiment import Experiment
from pipeline.plan import reasons
from tests.made_values import MadeData


def test_made_runs_are_whole(workplace: Path) -> None:
    params = workplace / "x.yaml"
    write_runs(params, 5, MadeData(train=100, val=50, test=60))

    found = reasons(Experiment.from_yaml(params))

    assert len(found) == 15
    assert {reason.state for reason in found} == {"whole"}
