"""CIFAR in its genuine format: Python 2 pickles of NumPy arrays in a .tar.gz."""

import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn import data, device
from pipeline.learn.data import public, sources
from pipeline.learn.data.public import CIFAR10, CIFAR100
from pipeline.learn.models.weights import Preprocessing


def python2_pickle(content):
    """Pickle as Python 2 with NumPy of 2009 did: byte strings, old module names, old dtype arguments."""

    class Old(pickle._Pickler):
        dispatch = pickle._Pickler.dispatch.copy()

        def save_text(self, text):
            raw = text.encode("latin1")
            self.write(
                b"U" + bytes([len(raw)]) + raw
                if len(raw) < 256
                else b"T" + len(raw).to_bytes(4, "little") + raw
            )
            self.memoize(text)

        dispatch[str] = save_text

        def save_array(self, array):
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR")
            self.write(b"(K\x01(")
            for length in array.shape:
                self.save(length)
            self.write(
                b"tcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
            )
            raw = array.tobytes()
            self.write(b"T" + len(raw).to_bytes(4, "little") + raw + b"tb")
            self.memoize(array)

        dispatch[np.ndarray] = save_array

    file = io.BytesIO()
    Old(file, protocol=2).dump(content)
    return file.getvalue()


def made(like, images, seed=0):
    """Return a CIFAR set as ``like``, of random images, with the content of its archive."""
    random = np.random.RandomState(seed)
    count = 10 if like is CIFAR10 else 100
    pixels = {}
    files = {like.meta: python2_pickle({like.class_key: [f"class {k}" for k in range(count)]})}
    for name in (*like.train, *like.test):
        pixels[name] = random.randint(0, 256, (images, 3072), dtype=np.uint8)
        labels = [k % count for k in range(images)]
        files[name] = python2_pickle({"batch_label": name, like.label_key: labels, "data": pixels[name]})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            about = tarfile.TarInfo(f"{like.archive.folder}/{name}")
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    content = packed.getvalue()
    md5s = {name: hashlib.md5(value).hexdigest() for name, value in files.items()}
    archive = replace(
        like.archive, md5=hashlib.md5(content).hexdigest(), members=md5s, mirrors=("http://x/",)
    )
    return replace(like, archive=archive), content, pixels


@pytest.mark.parametrize(("like", "images"), [(CIFAR10, 20), (CIFAR100, 300)])
def test_an_archive_put_there_by_hand_is_read(tmp_path, monkeypatch, like, images):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    small, content, pixels = made(like, images)
    monkeypatch.setitem(sources.SOURCES, like.name, small)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / like.archive.file).write_bytes(content)
    settings = RunSettings(dataset=like.name, device="cpu", precision="fp32", val_fraction=0.5)
    loaded = data.load(settings, Preprocessing(), device.choose(settings))
    first = pixels[like.test[0]][0].reshape(3, 32, 32)
    assert np.array_equal(loaded.test.pixels[0].permute(2, 0, 1).numpy(), first)
    assert loaded.info.split_sizes["test"] == images
    assert loaded.classes[1] == "class 1"
    assert loaded.info.source == f"{like.title}, from the archive {like.archive.file}"


def test_a_file_with_another_md5_is_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    small, content, _ = made(CIFAR10, 10)
    (tmp_path / small.archive.file).write_bytes(content)
    small.archive.obtain(tmp_path)
    (tmp_path / small.archive.file).unlink()
    (tmp_path / small.archive.folder / "test_batch").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    monkeypatch.setattr(public.pickle, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(DataError, match="HEADSTART_OFFLINE"):
        small.contents(str(tmp_path))


@pytest.mark.parametrize(("ours", "name"), [(CIFAR10, "CIFAR10"), (CIFAR100, "CIFAR100")])
def test_hashes_and_names_are_those_of_torchvision(ours, name):
    from torchvision import datasets

    theirs = getattr(datasets, name)
    assert (ours.archive.file, ours.archive.md5) == (theirs.filename, theirs.tgz_md5)
    assert ours.archive.folder == theirs.base_folder
    files = [*theirs.train_list, *theirs.test_list, [theirs.meta["filename"], theirs.meta["md5"]]]
    assert dict(ours.archive.members) == dict(files)
    assert ours.class_key == theirs.meta["key"]
    assert theirs.url in ours.archive.mirrors
