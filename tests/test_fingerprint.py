"""A fingerprint follows the content of files, and costs little while nothing changes."""

import json
import os
import time

import pytest

from pipeline import files as hashing
from pipeline.files import files_fingerprint

LONG_AGO = 1_500_000_000


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hashing, "TRUSTED_AFTER_SECONDS", -1)  # trust files that were just made


def write(folder, **contents):
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(content)
    return [(name, str(folder / name)) for name in contents]


def test_it_follows_content_and_names_but_not_place_times_or_order(tmp_path):
    first = write(tmp_path / "one", a="1", b="2")
    copy = write(tmp_path / "two", b="2", a="1")
    os.utime(tmp_path / "two/a", (LONG_AGO, LONG_AGO))
    same = files_fingerprint("one", first)
    assert files_fingerprint("two", copy) == same
    assert files_fingerprint("two", copy[::-1]) == same
    assert files_fingerprint("three", write(tmp_path / "three", a="1", b="3")) != same
    assert files_fingerprint("four", write(tmp_path / "four", a="1", c="2")) != same
    assert files_fingerprint("five", write(tmp_path / "five", a="1")) != same


def test_files_that_did_not_change_are_not_read_again(tmp_path, monkeypatch):
    files = write(tmp_path / "data", a="1", b="2")
    known = files_fingerprint("data", files)
    monkeypatch.setattr(hashing, "_content_hash", lambda path: pytest.fail("read again"))
    assert files_fingerprint("data", files) == known


def test_of_many_files_only_the_changed_one_is_read_again(tmp_path, monkeypatch):
    files = write(tmp_path / "data", a="1", b="2", c="3")
    known = files_fingerprint("data", files)
    (tmp_path / "data/b").write_text("two")
    read, content_hash = [], hashing._content_hash
    monkeypatch.setattr(hashing, "_content_hash", lambda path: read.append(path) or content_hash(path))
    assert files_fingerprint("data", files) != known
    assert read == [str(tmp_path / "data/b")]


def test_a_change_that_keeps_size_and_modification_time_is_seen(tmp_path):
    files = write(tmp_path / "data", a="1")
    os.utime(tmp_path / "data/a", (LONG_AGO, LONG_AGO))
    known = files_fingerprint("data", files)
    (tmp_path / "data/a").write_text("2")
    os.utime(tmp_path / "data/a", (LONG_AGO, LONG_AGO))
    assert files_fingerprint("data", files) != known


def test_files_that_changed_just_now_are_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "TRUSTED_AFTER_SECONDS", 2)
    files_fingerprint("data", write(tmp_path / "data", a="1"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"state": 1}'])
def test_a_damaged_cache_is_as_none(tmp_path, damage):
    files = write(tmp_path / "data", a="1")
    known = files_fingerprint("data", files)
    for path in (tmp_path / "cache/fingerprints").iterdir():
        path.write_text(damage)
    assert files_fingerprint("data", files) == known


def test_what_cannot_be_read_counts_as_such(tmp_path):
    files = write(tmp_path / "data", a="1")
    (tmp_path / "data/link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "data/pipe")
    odd = [("link", str(tmp_path / "data/link")), ("pipe", str(tmp_path / "data/pipe"))]
    assert files_fingerprint("data", [*files, *odd]) != files_fingerprint("data", files)


def test_names_that_are_no_text_are_hashed_too(tmp_path):
    (tmp_path / "\udcff").write_text("1")
    assert len(files_fingerprint("data", [("\ufffd", str(tmp_path / "\udcff"))])) == 64


def test_without_a_cache_folder_it_still_works(tmp_path):
    (tmp_path / "cache").touch()
    assert files_fingerprint("data", write(tmp_path / "data", a="1"))


@pytest.mark.slow
def test_twenty_thousand_files_that_did_not_change_take_a_third_of_a_second(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    files = [(str(i), str(folder / str(i))) for i in range(20_000)]
    for name, path in files:
        (folder / path).write_text(name)
    files_fingerprint("data", files)
    assert json.loads(next((tmp_path / "cache/fingerprints").glob("*-files.json")).read_text())
    start = time.process_time()
    files_fingerprint("data", files)
    assert time.process_time() - start < 1 / 3
