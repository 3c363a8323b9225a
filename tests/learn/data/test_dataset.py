"""A data set is found, split, decoded and described, or refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn import data, device
from pipeline.learn.data import sources
from pipeline.learn.models.weights import Preprocessing
from tests.learn.data.test_decode import png_claiming
from tests.learn.made_images import picture, write_classes

JPEG = Path(__file__).parents[4] / "shared/data/cifar10-jpeg.zip"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def settings(**wanted):
    return RunSettings(**{"dataset": "image_folder", "device": "cpu", "precision": "fp32"} | wanted)


def load(**wanted):
    chosen = settings(**wanted)
    return data.load(chosen, Preprocessing(), device.choose(chosen))


def test_digits_fill_the_range_of_a_byte():
    images = load(dataset="digits")
    assert (images.train.pixels.min(), images.train.pixels.max()) == (0, 255)
    assert images.info.split_sizes == {"train": 1294, "val": 144, "test": 359}
    assert images.info.native_size == [8, 8]
    assert images.preprocessing.image_size == 8
    assert (images.info.images_found, images.info.files_found) == (1797, None)  # no files of their own
    assert images.classes == [str(digit) for digit in range(10)]


def test_the_description_fits_the_images(tmp_path):
    write_classes(tmp_path / "data/train", {"cat": 20, "dog": 30})
    write_classes(tmp_path / "data/test", {"cat": 4, "dog": 6})
    images = load(val_fraction=0.1)
    info = images.info
    assert info.class_counts == {"train": [18, 27], "val": [2, 3], "test": [4, 6]}
    assert info.split_sizes == {"train": 45, "val": 5, "test": 10}
    assert (info.name, info.source, info.native_size) == ("image_folder", "a folder of image files", [16, 16])
    assert info.fingerprint == sources.fingerprint(settings())
    assert images.test.index.tolist() == list(range(10))
    assert images.test.files[0] == "test/cat/000.png"
    assert images.seconds > 0


@pytest.mark.parametrize(("size", "scaling", "reduction"), [(8, "down", 2), (16, "none", 1), (32, "up", 0.5)])
def test_the_description_says_how_images_reach_the_size_of_the_network(tmp_path, size, scaling, reduction):
    write_classes(tmp_path / "data", {"cat": 10, "dog": 10})
    info = load(image_size=size).info
    assert (info.scaling, info.reduction, info.typical_side) == (scaling, reduction, 16)


def test_twins_of_training_images_are_named_by_their_index(tmp_path):
    write_classes(tmp_path / "data/train", {"cat": 20, "dog": 20})
    write_classes(tmp_path / "data/test", {"cat": 3, "dog": 3})
    images = load()
    copied = images.train.files[5]
    (tmp_path / "data/test/dog/001.png").write_bytes((tmp_path / "data" / copied).read_bytes())
    assert load().info.near_duplicates == [4]


def test_every_kind_of_image_is_read(tmp_path):
    for number, label in enumerate(("one", "two")):
        folder = tmp_path / "data" / label
        folder.mkdir(parents=True)
        for mode in ("RGB", "L", "P", "RGBA", "CMYK", "1", "LA", "I;16"):
            made = Image.new(mode, (9, 7)) if mode == "I;16" else picture(number, (9, 7)).convert(mode)
            made.save(folder / f"{mode}{number}".replace(";", ""), "TIFF" if mode == "CMYK" else "PNG")
    images = load()
    assert sum(images.info.split_sizes.values()) == 16
    assert images.info.native_size == [7, 9]
    assert images.train.pixels.shape[1:] == (7, 7, 3)


def test_hostile_images_are_read_or_named_and_the_others_with_them(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 30, "dog": 30})
    whole = (root / "cat/000.png").read_bytes()
    bomb = png_claiming(100_000, 100_000)
    bad = {"truncated.png": whole[: len(whole) // 2], "nothing.png": b"", "bomb.png": bomb, "text": b"hello"}
    for name, content in bad.items():
        (root / "cat" / name).write_bytes(content)
    (root / "cat/itself").symlink_to("itself")
    (root / "cat/again").symlink_to(".")
    picture(1, (30_000, 2)).save(root / "dog/wide.png")
    picture(2, (2, 30_000)).save(root / "dog/high.png")
    picture(3, (1, 1)).save(root / "dog/dot.png")
    picture(4, (9, 7)).save(root / "dog/without suffix", "PNG")
    Image.fromarray(np.full((8, 8), 30_000, dtype=np.uint16)).save(root / "dog/deep.png")
    frames = [picture(seed, (8, 8)) for seed in (5, 6)]
    frames[0].save(root / "dog/moving.gif", save_all=True, append_images=frames[1:])

    images = load(max_unreadable=0.5, image_size=16)

    assert set(images.info.unreadable) == {f"cat/{name}" for name in (*bad, "itself")}
    files = {f for s in ("train", "val", "test") for f in getattr(images, s).files}
    good = {f"{label}/{number:03}.png" for label in ("cat", "dog") for number in range(30)}
    odd = ("wide.png", "high.png", "dot.png", "without suffix", "deep.png", "moving.gif")
    assert files == good | {f"dog/{name}" for name in odd}
    assert images.train.pixels.shape[1:3] == (16, 16)


def test_unreadable_files_are_skipped_and_named(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 50, "dog": 50})
    (root / "cat/zero.png").write_bytes(b"")
    (root / "dog/text.png").write_text("not an image")
    images = load(max_unreadable=0.02)
    assert sorted(images.info.unreadable) == ["cat/zero.png", "dog/text.png"]
    assert sum(images.info.split_sizes.values()) == 100
    assert (images.info.images_found, images.info.files_found) == (102, 102)  # unreadable ones included
    assert all(
        "zero" not in f and "text" not in f
        for s in ("train", "val", "test")
        for f in getattr(images, s).files
    )


def test_an_index_names_the_same_image_whatever_is_unreadable(tmp_path):
    write_classes(tmp_path / "data/train", {"cat": 8, "dog": 8})
    root = write_classes(tmp_path / "data/test", {"cat": 4, "dog": 4})
    (root / "cat/002.png").write_bytes(b"")
    images = load(max_unreadable=0.1)
    assert images.test.index.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert images.test.files[2] == "test/cat/003.png"
    assert images.test.targets.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_too_many_unreadable_files_are_refused_with_the_first(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    (root / "cat/000.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        load()
    assert str(error.value).startswith(
        "data: 1 of 40 images cannot be read (2.5%), and max_unreadable allows 1.0%. "
        "cat/000.png: is empty; fetch it again."
    )
    assert str(error.value).endswith("Mend or remove them, or raise max_unreadable.")


def test_a_class_without_a_readable_image_is_refused(tmp_path):
    write_classes(tmp_path / "data/train", {"cat": 20, "dog": 20})
    root = write_classes(tmp_path / "data/test", {"cat": 20, "dog": 1})
    (root / "dog/000.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^data: class 'dog' has no readable image in test; it needs at"):
        load(max_unreadable=0.1)


def test_images_of_one_colour_can_be_normalised(tmp_path):
    for label in ("one", "two"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (9, 9), "red").save(tmp_path / "data" / label / f"{number}.png")
    x = next(load().batches("val", 2))[0]
    assert torch.isfinite(x).all()


def test_another_place_gives_the_same_data(tmp_path):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    first = load()
    (tmp_path / "data").rename(tmp_path / "moved")
    again = load(data_dir="moved")
    assert first.info == again.info
    assert torch.equal(first.train.pixels, again.train.pixels)


# What the parent process asks before any work


def test_checking_does_not_import_torch(tmp_path):
    import subprocess
    import sys

    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    code = (
        "import sys; from pipeline.learn.data import sources; from pipeline.experiment import RunSettings\n"
        "for name in ('image_folder', 'digits'):\n"
        "    sources.check(RunSettings(dataset=name)); sources.fingerprint(RunSettings(dataset=name))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(Path(__file__).parents[3])}
    )


@pytest.mark.parametrize("name", ["digits", "image_folder"])
def test_usable_data_pass_the_check(tmp_path, name):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    for _ in range(2):
        sources.check(settings(dataset=name))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"dataset": "cifar1O"}, "dataset 'cifar1O' is not known. Did you mean 'cifar10'"),
        ({"dataset": "imagefolder"}, "dataset 'imagefolder' is not known. Did you mean 'image_folder'"),
        (
            {"dataset": "zzz"},
            "dataset 'zzz' is not known. Known are digits, image_folder, cifar10, cifar100, ",
        ),
        ({"data_dir": "nowhere"}, "nowhere: no such folder (looked for "),
        (
            {"max_train_images": 1},
            "data: max_train_images is 1, but there are 2 classes; it must be at least 2.",
        ),
        (
            {"dataset": "digits", "max_train_images": 9},
            "digits: max_train_images is 9, but there are 10 classes",
        ),
        (
            {"batch_size": 65536, "image_size": 1024},
            "batch_size 65536 at 1024 pixels needs 3,299 GB for ",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_work(tmp_path, wanted, message):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    with pytest.raises(DataError) as error:
        sources.check(settings(**wanted))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_check_looks_for_room_on_the_disk(tmp_path, monkeypatch):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20}, size=(300, 200))
    import shutil

    usage = shutil.disk_usage(".")._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    sources.check(settings())
    with pytest.raises(DataError, match=r"^cache/decoded: 0\.001 GB are free, but .* need 0\.00197 GB"):
        sources.check(settings(image_size=128))


def test_a_changed_image_changes_the_fingerprint(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 4, "dog": 4})
    before = sources.fingerprint(settings())
    picture(99).save(root / "cat/000.png")
    assert sources.fingerprint(settings()) != before


def test_the_fingerprint_of_digits_needs_no_scikit_learn():
    assert len(sources.fingerprint(settings(dataset="digits"))) == 64
    (name, path) = sources.SOURCES["digits"].files("")[0]
    assert (name, Path(path).is_file()) == ("digits", True)


def test_many_runs_on_one_data_set_look_at_it_once(tmp_path, monkeypatch):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    looked, look = [], sources._look
    monkeypatch.setattr(sources, "_look", lambda wanted: looked.append(wanted) or look(wanted))
    runs = [settings(seed=seed, image_size=size) for seed in range(3) for size in (16, 32)]
    found = sources.checked_fingerprints([*runs, settings(dataset="digits")])
    assert len(looked) == 2
    assert set(found[:-1]) == {sources.fingerprint(settings())}
    assert found[-1] == sources.fingerprint(settings(dataset="digits"))


def test_one_run_that_cannot_work_refuses_all(tmp_path):
    write_classes(tmp_path / "data", {"cat": 20, "dog": 20})
    with pytest.raises(DataError, match="max_train_images is 1"):
        sources.checked_fingerprints([settings(), settings(max_train_images=1)])


@pytest.mark.parametrize("damage", ["", "{}", "[]"])
def test_a_kept_summary_that_is_damaged_is_made_again(damage):
    sources.check(settings(dataset="digits"))
    path = next(Path("cache/contents").iterdir())
    whole = json.loads(path.read_text())
    path.write_text(damage)
    sources.check(settings(dataset="digits"))
    assert json.loads(path.read_text()) == whole


@pytest.mark.slow
@pytest.mark.skipif(not JPEG.is_file(), reason="needs ../shared/data/cifar10-jpeg.zip")
def test_cifar10_as_jpeg_files_has_known_near_duplicates(tmp_path):
    import zipfile

    with zipfile.ZipFile(JPEG) as archive:  # of all ten classes it takes two minutes, and finds some 220
        chosen = [name for name in archive.namelist() if Path(name).parent.name in ("automobile", "deer")]
        archive.extractall(tmp_path / "cifar", chosen)
    images = load(data_dir="cifar")
    assert images.info.split_sizes == {"train": 9_000, "val": 1_000, "test": 2_000}
    assert np.allclose(images.preprocessing.mean, (0.4717, 0.4601, 0.4134), atol=0.001)
    assert 50 <= len(images.info.near_duplicates) <= 66


# What is done to images on their way to a network


def write_deep(root: Path, peak: int, odd: int | None = None) -> None:
    """Write 16-bit stripes of two directions, one image with an odd pixel."""
    waves = np.mgrid[0:16, 0:16]
    for label, wave in zip(("across", "down"), waves, strict=True):
        (root / label).mkdir(parents=True)
        for number in range(12):
            random = np.random.RandomState(number)
            values = peak + peak / 16 * np.sin(wave) + random.normal(0, peak / 128, (16, 16))
            if number == 3 and odd is not None:
                values[0, 0] = odd
            Image.fromarray(values.astype("u2")).save(root / label / f"{number}.png")


def test_deep_images_have_one_scale_that_is_told(tmp_path):
    write_deep(tmp_path / "data", 1024)
    info = load().info
    assert info.pixel_scale == pytest.approx([940, 1110], abs=20)
    assert "Pixels of 16 bits were made grey levels by one scale" in info.notes[0]
    assert "far below 65,535" in info.notes[0]


def test_an_odd_pixel_changes_no_other_image(tmp_path):
    write_deep(tmp_path / "plain", 1024)
    write_deep(tmp_path / "odd", 1024, odd=65535)
    plain, odd = (load(data_dir=name) for name in ("plain", "odd"))
    assert plain.info.pixel_scale == pytest.approx(odd.info.pixel_scale, abs=6)
    assert ((plain.train.pixels.int() - odd.train.pixels.int()).abs() > 12).sum() <= 2 * 3


def test_deep_images_are_read_the_same_from_the_cache(tmp_path):
    write_deep(tmp_path / "data", 1024)
    first, again = load(), load()
    assert torch.equal(first.train.pixels, again.train.pixels)
    assert first.info == again.info


@pytest.mark.parametrize(("resize", "share"), [("crop", 0.5), ("squish", 1), ("pad", 1)])
def test_what_the_way_to_a_square_loses_is_told(tmp_path, resize, share):
    write_classes(tmp_path / "data", {"cat": 8, "dog": 8}, size=(400, 200))
    images = load(resize=resize, image_size=32)
    assert images.info.seen_share == pytest.approx(share)
    assert images.info.reduction == pytest.approx(200 / 32)
    said = " ".join(images.info.notes)
    assert ("50 % of its area" in said) == (resize == "crop")
    assert "6 times smaller" in said
    assert images.train.pixels.shape[1:] == (32, 32, 3)


def test_squished_and_padded_images_hold_all_of_the_image(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(8):
            image = Image.new("RGB", (40, 20), (0, 255, number))
            image.paste((255, 0, 0), (0, 0, 10, 20))
            image.save(tmp_path / "data" / label / f"{number}.png")
    red = {how: load(resize=how, image_size=20).train.pixels[0, ..., 0] for how in ("crop", "squish", "pad")}
    assert (red["crop"] > 200).sum() == 0
    assert (red["squish"] > 200).float().mean() == pytest.approx(0.25, abs=0.05)
    assert (red["pad"] > 200).float().mean() == pytest.approx(0.125, abs=0.03)
    assert (red["pad"][:4] == 0).all()


def test_square_images_are_the_same_however_they_are_resized(tmp_path):
    write_classes(tmp_path / "data", {"cat": 8, "dog": 8}, size=(50, 50))
    first, *others = [load(resize=how, image_size=20) for how in ("crop", "squish", "pad")]
    assert all(torch.equal(first.train.pixels, other.train.pixels) for other in others)


def test_tidy_images_need_no_note(tmp_path):
    write_classes(tmp_path / "data", {"cat": 8, "dog": 8})
    info = load().info
    assert (info.notes, info.pixel_scale, info.seen_share, info.reduction) == ([], None, 1.0, 1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            r"LFS pointer.*`git lfs pull` \(16 files alike\)",
        ),
        (b"\0\0\0\x18ftypheic", r"HEIC photograph; run `pip install pillow-heif`"),
    ],
)
def test_folders_without_a_readable_image_are_refused_before_work(tmp_path, content, said):
    root = write_classes(tmp_path / "data", {"cat": 8, "dog": 8})
    for path in root.rglob("*.png"):
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^data: 16 of 16 images cannot be read \(100.0%\).*{said}"):
        sources.check(settings())


def test_files_of_several_pictures_are_told(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 8, "dog": 8})
    for number, kind in enumerate(("tiff", "gif", "webp")):
        slices = [picture(seed) for seed in (number, 50, 51)]
        slices[0].save(root / "cat" / f"stack.{kind}", save_all=True, append_images=slices[1:])
    assert load().info.notes[-1].startswith("3 files hold several pictures, as an animation or the slices of")


def test_images_that_were_cut_off_are_refused_before_work(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 40, "dog": 40}, size=(64, 64))
    for path in sorted(root.rglob("*.png"))[::3]:
        path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"^data: 27 of 80 images cannot be read \(33\.8%\).*truncated"):
        sources.check(settings())


def test_few_unreadable_files_among_many_pass_the_check(tmp_path):
    root = write_classes(tmp_path / "data", {"cat": 60, "dog": 60})
    (root / "cat/000.png").write_bytes(b"")
    sources.check(settings())
    (root / "cat/001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 120 images cannot be read \(1.7%\).*cat/000.png: is empty"):
        sources.check(settings())
