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
        (["1.png"], f"holds no folder with images. {LAYOUT}"),
        (["test/cat/1"], f"holds test/, but no train/ with class folders. {LAYOUT}"),
        (["train/cat/1", "train/dog/1", "test/cat/1"], f"class 'dog' is in train, but not in test. {SAME}"),
        (["train/cat/1", "val/cat/1", "val/dog/1"], f"class 'dog' is in val, but not in train. {SAME}"),
        (["train/cat/1", "val/cat/1", "valid/cat/1"], "holds val/ and valid/; it must hold one of them."),
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
        "my-image: no such folder. Did you mean 'my-images'? data_dir must hold train/<class>/* and "
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
