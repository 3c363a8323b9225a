"""Images are decoded once, kept whole or not at all, and decoded again when what was kept is damaged."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.learn.data import store
from pipeline.learn.data.decode import open_image, to_square
from pipeline.learn.data.store import Store
from tests.learn.made_images import picture


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def decoder_of(images, **how):
    """Return a store of images; an exception in their place is raised when it is read."""

    def read(position):
        if isinstance(images[position], Exception):
            raise images[position]
        return images[position].copy()

    return Store(read, len(images), "made", **how)


def refusing(count, **how):
    def read(position):
        raise AssertionError("decoded twice")

    return Store(read, count, "made", **how)


def pictures(count, size=(12, 12)):
    return [picture(seed, size) for seed in range(count)]


def test_images_of_one_small_size_keep_every_pixel():
    images = pictures(70)
    made = decoder_of(images, threads=3).load()
    assert made.native_size == (12, 12)
    assert np.array_equal(made.pixels, np.stack([np.asarray(image) for image in images]))


def test_images_of_one_wide_size_keep_their_middle():
    made = decoder_of(pictures(3, (20, 12)), image_size=12).load()
    assert (made.pixels.shape, made.native_size) == ((3, 12, 12, 3), (12, 20))
    assert np.array_equal(made.pixels[1], np.asarray(picture(1, (20, 12)))[:, 4:16])


@pytest.mark.parametrize(
    ("sizes", "image_size", "stored", "native"),
    [
        ([(12, 12), (12, 12)], None, 12, (12, 12)),
        ([(12, 12), (12, 12)], 32, 12, (12, 12)),
        ([(12, 12), (12, 12)], 8, 8, (12, 12)),
        ([(12, 12), (13, 12)], None, 64, None),
        ([(12, 12), (13, 12)], 32, 32, None),
        ([(100, 100), (100, 100)], None, 64, (100, 100)),
        ([(100, 100), (100, 100)], 128, 100, (100, 100)),
        ([(300, 200), (200, 300)], 48, 48, None),
        ([(1, 1), (3000, 2)], 16, 16, None),
    ],
)
def test_stored_side_is_the_smaller_of_native_and_asked_for(sizes, image_size, stored, native):
    made = decoder_of([picture(1, size) for size in sizes], image_size=image_size).load()
    assert (made.pixels.shape, made.native_size) == ((2, stored, stored, 3), native)


def test_decoded_images_are_not_decoded_again_for_another_size_they_fit():
    first = decoder_of(pictures(40), image_size=16).load()
    again = refusing(40, image_size=64, interpolation="bicubic").load()
    assert np.array_equal(first.pixels, again.pixels)
    assert again.native_size == (12, 12)


def test_scaled_images_are_kept_for_each_size_and_interpolation():
    images = [picture(1, (40, 40)), picture(2, (50, 40))]
    scaled = [decoder_of(images, image_size=16, interpolation=by).load() for by in ("bilinear", "bicubic")]
    assert not np.array_equal(scaled[0].pixels, scaled[1].pixels)
    for by, kept in zip(("bilinear", "bicubic"), scaled, strict=True):
        assert np.array_equal(refusing(2, image_size=16, interpolation=by).load().pixels, kept.pixels)


def test_unreadable_images_are_left_out_and_named():
    images = [*pictures(40), OSError("cut\noff"), picture(41, (12, 12)), ValueError()]
    for made in (decoder_of(images).load(), refusing(43).load()):
        assert made.unreadable == {40: "cut off", 42: "ValueError"}
        assert made.positions.tolist() == [*range(40), 41]
        assert np.array_equal(made.pixels[40], np.asarray(images[41]))


def test_only_unreadable_images_leave_nothing():
    made = decoder_of([OSError("no"), OSError("no")]).load()
    assert len(made.pixels) == len(made.positions) == 0


def test_a_first_image_that_is_unreadable_does_not_decide_the_size():
    assert decoder_of([OSError("no"), *pictures(3)]).load().pixels.shape == (3, 12, 12, 3)


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("name", ["pixels.npy", "images.json"])
def test_a_damaged_byte_is_named_and_its_images_decoded_again(tmp_path, caplog, name, place):
    whole = decoder_of(pictures(40)).load().pixels.copy()
    path = tmp_path / "cache/decoded/made-native" / name
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    assert np.array_equal(decoder_of(pictures(40)).load().pixels, whole)
    assert "made-native" in caplog.text
    assert "made again" in caplog.text
    caplog.clear()
    assert np.array_equal(refusing(40).load().pixels, whole)


@pytest.mark.parametrize("name", ["pixels.npy", "images.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_file_that_is_not_whole_is_decoded_again(tmp_path, caplog, name, damage):
    whole = decoder_of(pictures(40)).load().pixels.copy()
    path = tmp_path / "cache/decoded/made-native" / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    assert np.array_equal(decoder_of(pictures(40)).load().pixels, whole)
    assert "damaged" in caplog.text


def test_an_interrupted_decoding_leaves_nothing_behind(tmp_path):
    def read(position):
        if position == 50:
            raise KeyboardInterrupt
        return picture(position, (12, 12))

    with pytest.raises(KeyboardInterrupt):
        Store(read, 60, "made").load()
    assert [p.name for p in (tmp_path / "cache/decoded").iterdir() if p.name != ".made.lock"] == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    left = tmp_path / "cache/decoded/.made-native.abc"
    left.mkdir(parents=True)
    (left / "pixels.npy").write_bytes(b"half")
    decoder_of(pictures(4)).load()
    assert not left.exists()


def test_large_images_are_decoded_in_order_on_many_threads():
    images = [picture(seed, (200 + seed, 150)) for seed in range(100)]
    made = decoder_of(images, image_size=20, threads=5).load()
    assert np.array_equal(made.pixels[77], np.asarray(to_square(images[77], 20, "bilinear")))


def test_a_disk_without_room_is_refused_before_decoding(monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(DataError, match=r"^cache/decoded: 1e-06 GB are free, .*lower image_size"):
        decoder_of(pictures(40)).load()
    with pytest.raises(DataError, match="are free"):
        decoder_of(pictures(40)).refuse_without_room()


def test_images_that_are_decoded_already_need_no_room(monkeypatch):
    decoder_of(pictures(40)).load()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: pytest.fail("asked for room"))
    refusing(40).refuse_without_room()


def test_a_full_disk_is_one_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(
        DataError, match=r"^cache/decoded: cannot keep decoded images: No space left on device"
    ):
        decoder_of(pictures(2)).load()


def test_large_caches_are_checked_in_part(monkeypatch, tmp_path):
    monkeypatch.setattr(store, "CHECKED_BYTES", 10_000)
    whole = decoder_of(pictures(200)).load()
    assert np.array_equal(refusing(200).load().pixels, whole.pixels)
    path = tmp_path / "cache/decoded/made-native/pixels.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.read_decoded(path.parent) is None


def test_a_bomb_among_the_images_is_unreadable(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    images = [*pictures(2)]

    def read(position):
        Image._decompression_bomb_check((4, 4))
        return images[position]

    assert len(Store(read, 2, "made").load().unreadable) == 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_no_damage_to_a_file_ends_the_decoding_of_the_others(tmp_path, kind):
    random = np.random.RandomState(0)
    picture(1, (24, 24)).save(tmp_path / "whole", kind)
    whole = (tmp_path / "whole").read_bytes()
    for number in range(60):
        damaged = bytearray(whole)
        for place in random.randint(0, len(whole), 4):
            damaged[place] = random.randint(256)
        (tmp_path / str(number)).write_bytes(damaged)
    paths = [*(tmp_path / str(number) for number in range(60)), tmp_path / "whole"]
    made = Store(lambda position: open_image(paths[position]), len(paths), "made", image_size=16).load()
    assert made.positions[-1] == 60
    assert len(made.positions) + len(made.unreadable) == 61
    assert all(reason.isprintable() and len(reason) <= 200 for reason in made.unreadable.values())
