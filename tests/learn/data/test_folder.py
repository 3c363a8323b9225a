"""Anybody's folders are listed as they are, or refused in one line."""

import os
from pathlib import Path

import pytest

from pipeline.errors import DataError
from pipeline.learn.data.contents import clean_name
from pipeline.learn.data.folder import list_folder


def touch(root: Path, *names: str) -> Path:
    """Make empty files; listing never opens any."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listed(root):
    contents = list_folder(str(root))
    return {name: list(part.files) for name, part in contents.parts.items()}


def test_classes_alone_are_one_part(tmp_path):
    touch(tmp_path, "dog/b.png", "dog/a.jpg", "cat/1", "cat/2.JPEG")
    contents = list_folder(str(tmp_path))
    assert contents.classes == ["cat", "dog"]
    assert contents.parts["train"].targets.tolist() == [0, 0, 1, 1]
    assert listed(tmp_path) == {"train": ["cat/1", "cat/2.JPEG", "dog/a.jpg", "dog/b.png"]}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
@pytest.mark.parametrize("train", ["train", "Train"])
def test_train_test_and_val_folders_are_parts(tmp_path, train, val):
    touch(
        tmp_path,
        f"{train}/cat/1",
        f"{train}/dog/1",
        "test/cat/2",
        "test/dog/2",
        f"{val}/cat/3",
        f"{val}/dog/3",
    )
    assert listed(tmp_path) == {
        "test": ["test/cat/2", "test/dog/2"],
        "train": [f"{train}/cat/1", f"{train}/dog/1"],
        "val": [f"{val}/cat/3", f"{val}/dog/3"],
    }


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, "train/1.png", "bus/1.png")
    assert list_folder(str(tmp_path)).classes == ["bus", "train"]


def test_folders_within_a_class_belong_to_it(tmp_path):
    touch(tmp_path, "cat/b.png", "cat/indoors/2020/a.png", "dog/a.png")
    assert listed(tmp_path)["train"] == ["cat/b.png", "cat/indoors/2020/a.png", "dog/a.png"]


def test_what_systems_leave_behind_is_not_seen(tmp_path):
    touch(
        tmp_path, "cat/1.png", "dog/1.png", "cat/.DS_Store", "cat/Thumbs.db", "cat/desktop.ini",
        "cat/._1.png", ".git/config", "__MACOSX/cat/1.png", "dog/.hidden/1.png", "README.txt",
    )  # fmt: skip
    assert listed(tmp_path)["train"] == ["cat/1.png", "dog/1.png"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "elsewhere", "1.png", "deep/2.png")
    touch(tmp_path / "data", "dog/1.png")
    (tmp_path / "data/cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/deep/up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/itself").symlink_to("itself")
    (tmp_path / "elsewhere/broken").symlink_to("nowhere")
    assert listed(tmp_path / "data")["train"] == [
        "cat/1.png", "cat/broken", "cat/deep/2.png", "cat/itself", "dog/1.png",
    ]  # fmt: skip


def test_one_image_linked_from_two_classes_is_in_both(tmp_path):
    touch(tmp_path, "all/1.png", "data/cat/1.png")
    (tmp_path / "data/dog").symlink_to(tmp_path / "all")
    (tmp_path / "data/pet").symlink_to(tmp_path / "all")
    assert listed(tmp_path / "data")["train"] == ["cat/1.png", "dog/1.png", "pet/1.png"]


@pytest.mark.parametrize(
    "name", ["a b", "Ünïcode", "鳥", "<b>bold</b>", "$x$", 'it\'s "it"', "{{< x >}}", "#a|b"]
)
def test_class_names_stay_as_written(tmp_path, name):
    touch(tmp_path, f"{name.replace('/', '⁄')}/1.png", "other/1.png")
    assert name.replace("/", "⁄") in list_folder(str(tmp_path)).classes


def test_names_that_no_text_can_hold_are_replaced(tmp_path):
    touch(tmp_path, "dog/1.png", "two\nlines/1.png")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))).mkdir()
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/\xff.png"))).touch()
    contents = list_folder(str(tmp_path))
    assert contents.classes == ["caf\ufffd", "dog", "two\ufffdlines"]
    assert contents.parts["train"].files[0] == "caf\ufffd/\ufffd.png"
    assert Path(contents.parts["train"].paths[0]).is_file()
    assert clean_name("caf\udce9\x1b[31m") == "caf\ufffd\ufffd[31m"


LAYOUT = "It must hold train/<class>/* and test/<class>/*, or <class>/* alone."
SAME = "Both need the same class folders; add the missing one or remove the other."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], f"holds no folder with images. {LAYOUT}"),
        (["1.png"], f"holds no folder with images. It holds 1 file in none. {LAYOUT}"),
        (["test/cat/1"], f"holds test/, but no train/ with class folders. {LAYOUT}"),
        (["train/cat/1", "train/dog/1", "test/cat/1"], f"class 'dog' is in train, but not in test. {SAME}"),
        (["train/cat/1", "val/cat/1", "val/dog/1"], f"class 'dog' is in val, but not in train. {SAME}"),
        (
            ["train/cat/1", "val/cat/1", "valid/cat/1"],
            "holds val/ and valid/, both val; it must hold one of them.",
        ),
        (["a\x01/1", "a\x02/1"], "two class folders are both shown as 'a\ufffd'; rename one."),
    ],
)
def test_unusable_folders_are_refused_in_one_line(tmp_path, files, message):
    touch(tmp_path, *files)
    with pytest.raises(DataError) as error:
        list_folder(str(tmp_path))
    assert str(error.value) == f"{tmp_path}: {message}"


def test_a_missing_folder_names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-images").mkdir()
    with pytest.raises(DataError) as error:
        list_folder("my-image")
    assert str(error.value) == (
        f"my-image: no such folder (looked for {tmp_path}/my-image). Did you mean 'my-images'? "
        "data_dir must hold train/<class>/* and "
        "test/<class>/*, or <class>/* alone."
    )


def test_a_file_is_no_data_folder(tmp_path):
    with pytest.raises(DataError, match="is a file, not a folder"):
        list_folder(str(touch(tmp_path, "images.zip") / "images.zip"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_named(tmp_path):
    touch(tmp_path, "cat/1", "dog/1")
    (tmp_path / "dog").chmod(0)
    try:
        with pytest.raises(DataError, match="dog: cannot be listed: Permission denied"):
            list_folder(str(tmp_path))
    finally:
        (tmp_path / "dog").chmod(0o755)


# Layouts that people have


def notes(root: Path) -> str:
    return " ".join(list_folder(str(root)).notes)


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as error:
        list_folder(str(root))
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{root}: ")


def sizes(root: Path) -> dict[str, int]:
    return {name: len(part) for name, part in list_folder(str(root)).parts.items()}


@pytest.mark.parametrize(
    ("train", "other", "part"),
    [
        ("Training", "Testing", "test"),
        ("seg_train", "seg_test", "test"),
        ("training_set", "test_set", "test"),
        ("train_data", "val_data", "val"),
        ("TrainingSet", "ValidationSet", "val"),
        ("train2017", "val2017", "val"),
        ("flowers-train", "flowers-test", "test"),
        ("TRAIN", "TEST", "test"),
        ("train images", "test images", "test"),
        ("trainset", "testset", "test"),
        ("train", "dev", "val"),
        ("train", "validate", "val"),
        ("train", "eval", "test"),
        ("train", "Testing", "test"),
        ("train", "holdout", "test"),
        ("训练集", "测试集", "test"),
    ],
)
def test_parts_are_known_by_the_names_that_people_give_them(
    tmp_path: Path, train: str, other: str, part: str
) -> None:
    touch(tmp_path, f"{train}/cat/1", f"{train}/dog/1", f"{train}/dog/2", f"{other}/cat/3", f"{other}/dog/3")
    assert sizes(tmp_path) == {"train": 3, part: 2}
    assert list_folder(str(tmp_path)).classes == ["cat", "dog"]


@pytest.mark.parametrize("name", ["latest", "contest", "brain", "evaluated", "develop", "strain"])
def test_words_that_only_hold_the_name_of_a_part_are_classes(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"{name}/1.png", "other/1.png")
    assert name in list_folder(str(tmp_path)).classes


def test_a_part_within_a_folder_of_its_own_name_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "seg_train/seg_train/sea/1", "seg_train/seg_train/ice/1", "seg_test/seg_test/sea/1",
          "seg_test/seg_test/ice/1", "seg_pred/seg_pred/1.jpg", "seg_pred/seg_pred/2.jpg")  # fmt: skip
    assert sizes(tmp_path) == {"train": 2, "test": 2}
    assert "seg_pred/ (2 files) is neither part nor class, and was left out." in notes(tmp_path)


@pytest.mark.parametrize("wrapped", ["archive", "archive/PetImages"])
def test_an_unpacked_archive_may_wrap_everything_in_a_folder(tmp_path: Path, wrapped: str) -> None:
    touch(tmp_path, f"{wrapped}/cat/1", f"{wrapped}/dog/1")
    contents = list_folder(str(tmp_path))
    assert contents.classes == ["cat", "dog"]
    assert contents.notes == [f"The images lie in {wrapped}/."]
    assert contents.parts["train"].files[0] == f"{wrapped}/cat/1"


@pytest.mark.parametrize("name", ["Data", "fold"])
def test_folders_that_all_hold_the_same_folders_are_no_classes(tmp_path: Path, name: str) -> None:
    touch(tmp_path, *(f"{name}{n}/{label}/1.png" for n in (1, 2) for label in ("cat", "dog")))
    assert refusal(tmp_path).startswith(
        f"{name}1/, {name}2/ all hold the same folders (cat, dog), as parts do"
    )


def test_flat_parts_beside_a_table_are_refused_and_the_table_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/1.png", "train/2.png", "test/3.png", "trainLabels.csv")
    assert refusal(tmp_path).startswith(
        "test/ and train/ are parts by their names, and hold 3 files but no class folders in train. "
        "If trainLabels.csv says the classes, set dataset: table and labels: trainLabels.csv."
    )


def test_images_beside_a_table_are_refused_and_the_table_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "2.png", "labels.tsv")
    assert "set dataset: table and labels: labels.tsv." in refusal(tmp_path)


@pytest.mark.parametrize("nested", ["", "test/", "unknown/"])
def test_a_part_without_class_folders_is_said_to_have_none(tmp_path: Path, nested: str) -> None:
    touch(tmp_path, "train/cat/1", "train/dog/1", f"test/{nested}1.png", f"test/{nested}2.png")
    found = refusal(tmp_path)
    if not nested:
        assert found.startswith(
            "test/ holds 2 files and no class folder, so nothing says what its images show."
        )
    else:
        assert found.startswith(f"test holds the folders '{nested[:-1]}', none of which is a class of train.")


def test_what_is_neither_part_nor_class_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1", "train/dog/1", "train/stray.png", "extra/cat/1", "sample_submission.csv")
    assert notes(tmp_path) == (
        "extra/ (1 file) is neither part nor class, and was left out. "
        "1 file directly in train/: of no class, and left out."
    )


def test_what_systems_leave_behind_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.png", "cat/.DS_Store", "dog/.DS_Store", "dog/1.png", "dog/@eaDir/1.png/thumb.jpg",
          "dog/.ipynb_checkpoints/1.png", "dog/notes.txt", "dog/IMG_1.MOV", "dog/IMG_1.AAE")  # fmt: skip
    assert listed(tmp_path)["train"] == ["cat/1.png", "dog/1.png"]
    assert notes(tmp_path) == (
        "Passed over, as left behind by systems and programs: .DS_Store (2), .ipynb_checkpoints (1), "
        "@eaDir (1). Left out, as no images: .aae (1), .mov (1), .txt (1)."
    )


def test_boxes_beside_images_are_no_class(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{part}/{kind}/1.{end}" for part in ("train", "val")
                      for kind, end in (("images", "jpg"), ("labels", "txt"))))  # fmt: skip
    assert refusal(tmp_path).startswith("labels/ is no class: it holds no image, but .txt (1). Move it")


def test_one_class_name_written_in_two_ways_is_one_class(tmp_path: Path) -> None:
    touch(tmp_path, "train/Caf\u00e9/1", "train/tea/1", "test/cafe\u0301/1", "test/Tea/1")
    contents = list_folder(str(tmp_path))
    assert contents.classes == ["Caf\u00e9", "tea"]
    assert contents.parts["test"].targets.tolist() == [0, 1]


def test_classes_of_one_part_that_differ_in_case_stay_two(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1", "train/A/1", "test/a/1", "test/A/1")
    assert list_folder(str(tmp_path)).classes == ["A", "a"]


@pytest.mark.parametrize("other", ["cafe\u0301", "caf\u00e9 "])
def test_names_of_one_part_that_read_alike_are_refused(tmp_path: Path, other: str) -> None:
    touch(tmp_path, "caf\u00e9/1", f"{other}/1", "tea/1")
    with pytest.raises(DataError, match="two class folders are both shown as 'caf\u00e9'; rename one"):
        list_folder(str(tmp_path))


def test_a_link_to_the_folder_itself_is_no_class(tmp_path: Path) -> None:
    touch(tmp_path, "images/cat/1", "images/dog/1")
    (tmp_path / "images/all").symlink_to(".")
    (tmp_path / "images/up").symlink_to(tmp_path)
    assert list_folder(str(tmp_path / "images")).classes == ["cat", "dog"]


@pytest.mark.parametrize(
    "pair", [("images", "masks"), ("train_images", "train_masks"), ("JPEGImages", "SegmentationClass")]
)
def test_masks_beside_images_are_no_class(tmp_path: Path, pair: tuple[str, str]) -> None:
    touch(tmp_path, *(f"{kind}/{n}.png" for kind in pair for n in range(3)))
    assert refusal(tmp_path).startswith(f"{pair[0]}/ holds images and {pair[1]}/ what is where in them")


def test_people_with_and_without_masks_are_classes(tmp_path: Path) -> None:
    touch(tmp_path, "with_mask/1", "without_mask/1", "mask_weared_incorrect/1")
    assert len(list_folder(str(tmp_path)).classes) == 3


def test_lists_and_annotations_beside_the_images_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "CUB/images/cat/1.jpg", "CUB/images/dog/1.jpg", "CUB/parts/parts.txt", "CUB/classes.txt",
          "CUB/lists/deep/a.csv", "CUB/lists/b.csv")  # fmt: skip
    assert list_folder(str(tmp_path)).classes == ["cat", "dog"]
    assert notes(tmp_path) == (
        "The images lie in CUB/images/. lists/ (2 files) is neither part nor class, and was left out. "
        "parts/ (1 file) is neither part nor class, and was left out."
    )


@pytest.mark.parametrize("second", ["dog/train/2", "dog/2"])
def test_parts_within_classes_are_refused_with_the_right_order(tmp_path: Path, second: str) -> None:
    touch(tmp_path, "cat/train/1", "cat/test/1", second)
    assert refusal(tmp_path) == (
        "cat/ holds test/ and train/, parts by their names. Parts come first: move cat/test/ to test/cat/, "
        "and the others alike."
    )


def test_classes_named_by_numbers_are_in_their_order(tmp_path: Path) -> None:
    touch(tmp_path, "10/1", "9/1", "nan/1", "inf/1", "2/1")
    assert list_folder(str(tmp_path)).classes == ["2", "9", "10", "inf", "nan"]


def test_archives_are_to_be_unpacked(tmp_path: Path) -> None:
    touch(tmp_path, "cat.zip", "dog.zip")
    assert "It holds cat.zip: unpack archives first." in refusal(tmp_path)
    with pytest.raises(DataError, match=r"is a file, not a folder\. Unpack it, and name"):
        list_folder(str(tmp_path / "cat.zip"))


def test_names_that_begin_with_a_class_are_to_be_sorted_into_folders(tmp_path: Path) -> None:
    names = [f"{label}{n}.jpg" for label in ("cat.", "German_shepherd_") for n in range(4)]
    touch(tmp_path / "flat", *names)
    touch(tmp_path / "parts", *(f"train/{name}" for name in names), "test/1.jpg")
    said = "names of the files say the classes (German_shepherd, cat), move each file into a folder of its"
    assert said in refusal(tmp_path / "flat")
    assert said in refusal(tmp_path / "parts")
    touch(tmp_path / "holiday", *(f"IMG_{n}.jpg" for n in range(9)))
    assert "names of the files" not in refusal(tmp_path / "holiday")
