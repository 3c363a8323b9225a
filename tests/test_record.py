"""A run is read whole or refused by name; nothing half-written is taken for whole."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from pipeline.errors import RecordError
from pipeline.experiment import RunSettings
from pipeline.files import digest
from pipeline.record import (
    STAGE_COLUMNS,
    Failure,
    RunDetails,
    RunFolder,
    RunRecord,
    SplitPredictions,
    predictions_table,
    replacing,
    run_id,
    run_name,
    write_json,
)
from tests.made_records import made_study


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    record = made_study(tmp_path_factory.mktemp("made"), "one_model").models[0].records[0]
    (record.folder / "record.json").unlink()
    write_json(record.folder / "record.json", record.details.sealed(record.folder).model_dump())
    return RunRecord.read(record.folder)


@pytest.fixture
def copied_run(whole_run: RunRecord, tmp_path: Path) -> Path:
    folder = tmp_path / whole_run.run_id
    folder.mkdir()
    for path in whole_run.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_whole_run_is_read_back(whole_run: RunRecord) -> None:
    test = whole_run.split("test")

    assert whole_run.complete
    assert test.probability.shape == (len(test.target), len(whole_run.classes))
    assert test.probability.dtype == np.float32
    assert (np.diff(test.index) > 0).all()
    assert set(whole_run.predictions["split"]) == {"val", "test"}


def test_record_from_before_a_setting_came_is_not_damaged(copied_run: Path) -> None:
    path = copied_run / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["settings"]["patience"]
    sealed = {**content, "checksum": digest({**content, "checksum": ""})}
    path.write_text(json.dumps(sealed), encoding="utf-8")

    assert RunRecord.read(copied_run).settings.patience is None

    path.write_text(json.dumps({**sealed, "best_epoch": 99}), encoding="utf-8")
    with pytest.raises(RecordError, match="its checksum does not match"):
        RunRecord.read(copied_run)


@pytest.mark.parametrize("name", ["history.csv", "predictions.parquet", "gallery.parquet"])
@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "gone"])
def test_damaged_table_is_refused_by_name(copied_run: Path, name: str, damage: str) -> None:
    path = copied_run / name
    content = path.read_bytes()
    damaged = {"empty": b"", "cut": content[: len(content) // 3], "noise": b"\x00\xff" * 50}
    path.unlink() if damage == "gone" else path.write_bytes(damaged[damage])
    table = name.split(".")[0]

    with pytest.raises(RecordError, match=f"{name}: (damaged|missing)"):
        getattr(RunRecord.read(copied_run), table)


@pytest.mark.parametrize("region", range(8))
def test_record_cut_anywhere_is_refused(copied_run: Path, region: int) -> None:
    path = copied_run / "record.json"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * region // 8])

    with pytest.raises(RecordError, match=r"record\.json: damaged"):
        RunRecord.read(copied_run)


@pytest.mark.parametrize("region", range(8))
def test_record_with_a_changed_byte_anywhere_is_refused(copied_run: Path, region: int) -> None:
    path = copied_run / "record.json"
    content = bytearray(path.read_bytes())
    place = next(i for i in range(len(content) * region // 8, len(content)) if chr(content[i]).isalnum())
    content[place] = ord("7") if content[place] != ord("7") else ord("8")
    path.write_bytes(content)

    with pytest.raises(RecordError, match=r"record\.json: (damaged|schema_version)"):
        RunRecord.read(copied_run)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
)


@given(JSON, st.sampled_from([None, *RunDetails.model_fields]))
def test_record_of_any_content_is_read_or_refused_by_name(
    whole_run: RunRecord, tmp_path_factory: pytest.TempPathFactory, content: object, key: str | None
) -> None:
    whole = json.loads((whole_run.folder / "record.json").read_text(encoding="utf-8"))
    folder = tmp_path_factory.mktemp("run")
    path = folder / "record.json"
    path.write_text(json.dumps(content if key is None else {**whole, key: content}), encoding="utf-8")

    try:
        found: object = RunRecord.read(folder).details.model_copy(update={"checksum": ""})
    except RecordError as error:
        found = str(error)

    expected = whole_run.details.model_copy(update={"checksum": ""})
    assert found == expected or (str(found).startswith(f"{path}: ") and "\n" not in str(found))


def test_record_nested_too_deeply_is_refused(copied_run: Path) -> None:
    (copied_run / "record.json").write_text("[" * 100_000, encoding="utf-8")

    with pytest.raises(RecordError, match=r"record\.json: damaged"):
        RunRecord.read(copied_run)


def test_folder_without_record_is_not_whole(copied_run: Path) -> None:
    (copied_run / "record.json").unlink()

    with pytest.raises(RecordError, match="not whole"):
        RunRecord.read(copied_run)


def test_record_of_another_schema_version_is_refused(copied_run: Path) -> None:
    path = copied_run / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "schema_version": 99}), encoding="utf-8")

    with pytest.raises(RecordError, match="schema_version is 99, this Headstart reads 1"):
        RunRecord.read(copied_run)


def test_replacing_keeps_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"whole": True})

    def interrupted() -> None:
        with replacing(path) as file:
            file.write('{"half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert json.loads(path.read_text(encoding="utf-8")) == {"whole": True}
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_is_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"accuracy": float("nan")})


def test_run_id_names_model_mode_and_seed() -> None:
    settings = RunSettings(model="timm/a b", mode="fine_tune", seed=3)

    assert run_name(settings) == "timm_a_b-fine_tune-s3"
    assert run_id(settings, {"data": "x"}).startswith("timm_a_b-fine_tune-s3-")
    assert run_id(settings, {"data": "x"}) != run_id(settings, {"data": "y"})


@given(
    hypothesis_numpy.arrays(
        np.float32, st.tuples(st.integers(1, 20), st.integers(2, 5)), elements=st.floats(0, 1, width=32)
    )
)
def test_predictions_survive_a_round_trip_through_parquet(
    tmp_path_factory: pytest.TempPathFactory, probability: np.ndarray
) -> None:
    count, classes = probability.shape
    split = SplitPredictions(np.arange(count), np.zeros(count, np.int64), probability)
    path = tmp_path_factory.mktemp("parquet") / "p.parquet"

    predictions_table({"val": split, "test": split}).to_parquet(path)
    table = pd.read_parquet(path)

    assert list(table.columns) == ["split", "index", "target", *(f"probability_{k}" for k in range(classes))]
    np.testing.assert_array_equal(table[table["split"] == "test"].iloc[:, 3:].to_numpy(), probability)


@given(st.text(max_size=60), st.text(max_size=60))
def test_failure_text_survives_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, message: str, traceback: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    failure = Failure(kind="RunError", message=message, traceback=traceback)
    details = RunDetails(status="failed", run_id="x", settings=RunSettings(), failure=failure)

    write_json(folder / "record.json", details.model_dump())

    assert RunRecord.read(folder).details == details


def test_progress_is_appended_line_by_line(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.report_progress(stage="training", epoch=1)
    run.report_progress(stage="training", epoch=2)

    lines = (tmp_path / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_history_of_an_older_record_says_nothing_of_stages(whole_run: RunRecord) -> None:
    history = pd.read_csv(whole_run.folder / "history.csv").drop(columns=list(STAGE_COLUMNS), errors="ignore")
    old = RunRecord(whole_run.folder, whole_run.details.model_copy(update={"files": {}}))
    assert len(old.history) == len(history)
    assert all(name in old.history for name in STAGE_COLUMNS)
