"""Classes from a table: usual forms are read as downloaded, bad ones get one line each."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data import sources
from pipeline.learn.data.table import Table
from tests.learn.made_images import picture


@pytest.fixture
def data(workplace: Path) -> Path:
    """Six images, cats and dogs in turn, as Kaggle packs them, with a test part without labels."""
    for part, count in (("train", 6), ("test", 3)):
        (workplace / "data" / part).mkdir(parents=True)
        for number in range(1, count + 1):
            picture(number).save(workplace / "data" / part / f"{number}.png")
    return workplace / "data"


def write(data: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Table:
    (data / name).write_text(text, encoding=encoding)
    return Table(name)


def refusal(table: Table) -> str:
    with pytest.raises(DataError) as error:
        table.contents("data")
    assert "\n" not in str(error.value)
    return str(error.value)


ROWS = [("1", "cat"), ("2", "dog"), ("3", "cat"), ("4", "dog"), ("5", "cat"), ("6", "dog")]


def as_text(head: str = "id,label", separator: str = ",", form: str = "{}") -> str:
    return "\n".join([head, *(f"{form.format(name)}{separator}{label}" for name, label in ROWS)]) + "\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (as_text(), "trainLabels.csv"),
        (as_text("filename,label", form="train/{}.png"), "labels.csv"),
        (as_text("file_name\tclass", "\t", "{}.png"), "labels.tsv"),
        (as_text("Image;Category", ";", "./train/{}.png"), "labels.csv"),
        (as_text("image_id,dog_breed", form="{}"), "labels.csv"),
        (as_text("filepaths,labels", form="train/{}.png"), "birds.csv"),
        (as_text("image_id,dx"), "HAM10000_metadata.csv"),
        (as_text("path|target", "|", "train\\{}.png"), "labels.csv"),
    ],
)
def test_usual_tables_are_read_as_downloaded(data: Path, text: str, name: str) -> None:
    contents = write(data, text, name).contents("data")
    train = contents.parts["train"]
    assert contents.classes == ["cat", "dog"]
    assert list(train.files) == [f"train/{n}.png" for n in (1, 3, 5, 2, 4, 6)]
    assert train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    with train.read(0) as image:
        assert image.size == (16, 16)
    assert contents.notes == ["3 files in the folder stand in no row of the table, and were left out."]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_marks_and_old_encodings_are_no_part_of_names(data: Path, encoding: str) -> None:
    contents = write(data, as_text().replace("dog", "chätte"), encoding=encoding).contents("data")
    assert contents.classes == ["cat", "chätte"]


def test_parquet_is_read_too(data: Path) -> None:
    pd.DataFrame({"image": [n for n, _ in ROWS], "label": [k == "dog" for _, k in ROWS]}).to_parquet(
        data / "t.parquet"
    )
    assert Table("t.parquet").contents("data").classes == ["False", "True"]


def test_classes_that_are_numbers_are_in_their_order(data: Path) -> None:
    text = "id,level\n" + "\n".join(
        f"{n},{label}" for n, label in zip(range(1, 7), (10, 9, 2, 10, 9, 2), strict=True)
    )
    assert write(data, text).contents("data").classes == ["2", "9", "10"]


def test_a_split_column_makes_parts(data: Path) -> None:
    split = ["train", "training", "valid", "train", "TEST", "val"]
    text = "id,label,split\n" + "\n".join(f"{n},{k},{s}" for (n, k), s in zip(ROWS, split, strict=True))
    parts = write(data, text).contents("data").parts
    assert {name: len(part) for name, part in parts.items()} == {"train": 3, "val": 2, "test": 1}


@pytest.mark.parametrize(
    ("head", "values", "parts"),
    [
        ("split", ["TRAIN", "training", "validate", "val_set", "holdout", "Test"], (2, 2, 2)),
        ("Set", ["train", "train", "dev", "development", "eval", "tst"], (2, 2, 2)),
        ("is_valid", ["False", "False", "True", "False", "True", "False"], (4, 2, 0)),
        ("is_test", ["0", "0", "0", "1", "1", "0"], (4, 0, 2)),
        ("is_training_image", ["1", "1", "1", "0", "1", "1"], (5, 0, 1)),
        ("fold", ["0", "1", "2", "0", "1", "2"], (6, 0, 0)),
    ],
)
def test_parts_are_known_by_the_words_that_people_write(
    data: Path, head: str, values: list[str], parts: tuple[int, int, int]
) -> None:
    text = f"id,label,{head}\n" + "\n".join(f"{n},{k},{v}" for (n, k), v in zip(ROWS, values, strict=True))
    found = write(data, text).contents("data").parts
    assert {name: len(part) for name, part in found.items()} == {
        name: count for name, count in zip(("train", "val", "test"), parts, strict=True) if count
    }
    metadata = found["train"].metadata
    assert (metadata is None) == (head != "fold")


@pytest.mark.parametrize("form", ["{here}/data/train/{n}.png", "data/train/{n}.png", "TRAIN/{n}.PNG"])
def test_names_may_begin_with_the_data_folder_and_differ_in_capitals(data: Path, form: str) -> None:
    rows = "".join(f"{form.format(here=Path.cwd(), n=n)},{label}\n" for n, label in ROWS)
    train = write(data, "image,label\n" + rows).contents("data").parts["train"]
    assert list(train.files) == [f"train/{n}.png" for n in (1, 3, 5, 2, 4, 6)]


def test_numbers_of_rows_are_no_metadata(data: Path) -> None:
    text = ",id,label\n" + "".join(f"{i},{n},{label}\n" for i, (n, label) in enumerate(ROWS))
    assert write(data, text).contents("data").parts["train"].metadata is None


def test_missing_values_of_parquet_are_empty(data: Path) -> None:
    labels = [None, *(k for _, k in ROWS[1:])]
    pd.DataFrame({"image": [n for n, _ in ROWS], "label": labels}).to_parquet(data / "t.parquet")
    assert "1 of 6 rows lack label or image, the first in line 2" in refusal(Table("t.parquet"))


def test_columns_by_unusual_names_can_be_given(data: Path) -> None:
    write(data, as_text("nummer,art"))
    assert Table("labels.csv", "nummer", "art").contents("data").classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            as_text("nummer,art"),
            "has no column by a usual name for file_column; its columns are 'nummer', 'art'.",
        ),
        (as_text("id,a,b"), "has no column by a usual name for label_column"),
        (as_text().replace("3,cat", "3,"), "1 of 6 rows lack label or id, the first in line 4; fill them in"),
        (
            as_text() + "77,cat\n",
            "1 of 7 files that it names are not in the folder, the first '77'. Put them there",
        ),
        (
            as_text() + "1,dog\n",
            "names 1 file more than once, the first train/1.png; one image has one row.",
        ),
        (as_text() + "../../etc/passwd,dog\n", "not in the folder, the first '../../etc/passwd'"),
        ("", "cannot be read as a table"),
        ("PK\x03\x04 and so on", "it is a workbook; save its sheet as CSV"),
        (
            "train/1.png,cat\ntrain/2.png,dog\n",
            "its first line (train/1.png, cat) is an image and its class; write a line with the names",
        ),
        (
            as_text("id,label,split").replace("cat", "cat,train").replace("dog", "dog,"),
            "split is '' in 3 of 6 rows; it must be train, val or test in every row.",
        ),
        (",".join(f"column{n}" for n in range(99)) + "\n", "'column7' and 91 more. Set file_column"),
    ],
)
def test_bad_tables_get_one_line_each(data: Path, text: str, said: str) -> None:
    assert said in refusal(write(data, text))


def test_the_table_must_be_named_and_be_there(data: Path) -> None:
    write(data, as_text())
    assert (
        refusal(Table(None))
        == "data: dataset is table, and labels does not say which; the folder holds labels.csv."
    )
    assert "Did you mean 'labels.csv'?" in refusal(Table("label.csv"))


def test_a_changed_label_changes_the_fingerprint(data: Path) -> None:
    settings = RunSettings(dataset="table", labels="labels.csv")
    write(data, as_text())
    before = sources.fingerprint(settings)
    sources.check(settings)
    write(data, as_text().replace("6,dog", "6,cat"))
    assert sources.fingerprint(settings) != before


def test_a_hundred_thousand_rows_get_one_line_too(data: Path) -> None:
    table = write(data, "id,label\n" + "".join(f"{n},{n % 5}\n" for n in range(1, 100_001)))
    assert "99,994 of 100,000 files that it names are not in the folder, the first '7'" in refusal(table)
