"""Groups never cross the splits, and what cannot be grouped is refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data import sources
from pipeline.learn.data.split import split
from tests.learn.made_images import picture


@pytest.fixture
def data(workplace: Path) -> Path:
    """Twelve patients with four images each, all of one class, and a table that says so."""
    rows = ["file,label,patient,camera"]
    for patient in range(12):
        label = ("ill", "well")[patient % 2]
        (workplace / "data" / label).mkdir(parents=True, exist_ok=True)
        for shot in range(4):
            name = f"{label}/p{patient:02d}_{shot}.png"
            picture(10 * patient + shot).save(workplace / "data" / name)
            rows.append(f"{name},{label},{patient},c{shot % 2}")
    (workplace / "data" / "labels.csv").write_text("\n".join(rows))
    return workplace / "data"


def settings(**changes: object) -> RunSettings:
    return RunSettings(**{"data_dir": "data", "dataset": "image_folder", **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"group": r"(p\d+)_"},
        {"group": r"p\d+"},
        {"dataset": "table", "labels": "labels.csv", "group": "patient"},
    ],
)
def test_a_group_is_in_one_split_alone_and_every_class_in_all(data: Path, changes: dict[str, object]) -> None:
    chosen = settings(**changes)
    contents = sources.find(chosen)
    part = contents.parts["train"]
    splits = split(contents, chosen)

    groups = [{part.groups[i] for i in one.positions} for _, one in splits.items()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12
    assert all(set(part.targets[one.positions]) == {0, 1} for _, one in splits.items())
    assert sum(len(one) for _, one in splits.items()) == 48
    assert "12 groups that were kept whole" in splits.note


def test_other_seeds_choose_other_groups_and_the_same_seed_the_same(data: Path) -> None:
    def test_of(seed: int) -> list[int]:
        chosen = settings(group=r"p\d+", split_seed=seed)
        return split(sources.find(chosen), chosen).test.positions.tolist()

    assert test_of(0) == test_of(0)
    assert len({tuple(test_of(seed)) for seed in range(4)}) > 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"group": "(p"}, "no column and no regular expression"),
        ({"group": r"q\d+"}, "gives 48 of 48 images no group, the first ill/p00_0.png"),
        ({"dataset": "table", "labels": "labels.csv", "group": "patent"}, "it has patient, camera"),
        ({"group": "png"}, "makes one group of"),
        ({"dataset": "table", "labels": "labels.csv", "group": "camera"}, "makes 2 groups"),
    ],
)
def test_what_cannot_be_grouped_is_refused_in_one_line(
    data: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(DataError) as error:
        sources.find(settings(**changes))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_parts_that_share_a_group_are_refused(data: Path) -> None:
    for part in ("train", "test"):
        for label in ("ill", "well"):
            (data / part / label).mkdir(parents=True)
            picture(7).save(data / part / label / f"p{'01'[label == 'ill']}_{part}.png")
    with pytest.raises(DataError, match=r"train and test share 2 groups, the first 'p0'"):
        sources.find(settings(group=r"p\d+"))


def test_metadata_of_a_table_are_kept_beside_the_class(data: Path) -> None:
    part = sources.find(settings(dataset="table", labels="labels.csv")).parts["train"]

    assert part.metadata is not None
    assert list(part.metadata.columns) == ["about_patient", "about_camera"]
    assert np.array_equal(part.metadata["about_camera"].unique(), ["c0", "c1"])
