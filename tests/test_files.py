"""What is kept in caches is read as it was written, or made again; never something else."""

import errno
import json
import os
import stat
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import job as jobs
from pipeline.experiment import RunSettings
from pipeline.files import (
    as_on_disk,
    expanded,
    files_fingerprint,
    give_usual_rights,
    read_kept,
    write_json,
    write_kept,
)
from pipeline.learn.data import duplicates
from pipeline.learn.data.sources import checked_fingerprints
from pipeline.learn.models.weights import listed

CONTENT = {"fingerprint": "0a1b", "rows": [1, 20, 300], "names": ["Ünï", None, 1.5, True]}


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    write_kept(tmp_path / "new" / "x.json", CONTENT)

    assert read_kept(tmp_path / "new" / "x.json") == CONTENT


def test_what_was_never_kept_is_none_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_kept(tmp_path / "x.json") is None
    assert caplog.text == ""


def test_a_changed_byte_anywhere_is_named_or_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.json"
    write_kept(path, CONTENT)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for flipped in (1, 4, 255):
            caplog.clear()
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flipped]) + whole[place + 1 :])
            found = read_kept(path)
            assert found == CONTENT or (found is None and f"{path}: damaged" in caplog.text)


@pytest.mark.parametrize("share", np.linspace(0, 1, 9, endpoint=False))
def test_a_file_cut_anywhere_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, share: float) -> None:
    path = tmp_path / "x.json"
    write_kept(path, CONTENT)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    assert read_kept(path) is None
    assert "it is made again" in caplog.text


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    write_kept(tmp_path / "file" / "x.json", CONTENT)
    write_kept(tmp_path / "x.json", {"not a number": float("nan")})

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def damage_all(folder: Path, region: float) -> None:
    """Change a byte of every file below a folder, at the same share of each."""
    paths = list(folder.rglob("*.json"))
    assert paths
    for path in paths:
        content = bytearray(path.read_bytes())
        content[int(region * len(content))] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize("region", np.linspace(0, 1, 8, endpoint=False))
def test_damaged_caches_never_change_an_answer(workplace: Path, region: float) -> None:
    data = workplace / "data" / "x"
    data.parent.mkdir()
    data.write_text("content", encoding="utf-8")
    images = torch.randint(0, 256, (6, 16, 16, 3), dtype=torch.uint8)
    part = duplicates.Images(images, torch.arange(6) % 2, range(6))

    def answers() -> tuple[object, ...]:
        return (
            files_fingerprint("data", [("x", str(data))]),
            checked_fingerprints([RunSettings()]),
            duplicates.cached("key", lambda: duplicates.find(part, part, part)),
            listed("torch", lambda: {"resnet": {"size": 224}}),
        )

    expected = answers()
    damage_all(Path("cache"), region)

    assert answers() == expected
    assert answers() == expected


def test_home_and_variables_in_a_path_are_put_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PICTURES", "pics")

    assert expanded("~/pics") == expanded("$HOME/$PICTURES") == f"{tmp_path}/pics"
    assert expanded("$NOTHING/pics") == "$NOTHING/pics"
    assert expanded("IMAGENET1K_V1") == "IMAGENET1K_V1"


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_names_are_compared_as_a_person_sees_them(workplace: Path, on_disk: str) -> None:
    folder = workplace / unicodedata.normalize(on_disk, "Fotos für Ägypten") / "é.yaml"
    folder.mkdir(parents=True)
    for asked in ("NFC", "NFD"):
        written = Path(unicodedata.normalize(asked, "Fotos für Ägypten/é.yaml"))
        assert as_on_disk(written).is_dir()
        assert expanded(str(written)) == str(folder.relative_to(workplace))


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_files_of_libraries_get_the_rights_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "x"
    path.touch(mode=0o600)
    before = os.umask(umask)
    try:
        give_usual_rights(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def without(monkeypatch: pytest.MonkeyPatch, owner: str, name: str, number: int) -> None:
    """Have a function of the system answer as a disk does that cannot do this."""

    def unable(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"{owner}.{name}", unable)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_locks_has_locks_all_the_same(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without(monkeypatch, "fcntl", "flock", number)

    with jobs.run_lock(Path("runs"), "a"):
        assert jobs.is_taken(Path("runs"), "a")
        assert not jobs.is_taken(Path("runs"), "b")
    assert not jobs.is_taken(Path("runs"), "a")


def test_a_full_disk_is_no_disk_without_locks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "fcntl", "flock", errno.ENOSPC)

    with pytest.raises(OSError, match="No space left"):
        jobs.is_taken(workplace / "runs", "a")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_disk_that_cannot_sync_keeps_files_all_the_same(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without(monkeypatch, "os", "fsync", number)

    write_json(Path("x.json"), {"a": 1})
    jobs._sync(workplace)

    assert json.loads(Path("x.json").read_text(encoding="utf-8")) == {"a": 1}


def test_a_disk_that_has_no_room_says_so_when_it_syncs(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "os", "fsync", errno.ENOSPC)

    with pytest.raises(OSError, match="No space left"):
        write_json(Path("x.json"), {"a": 1})
    assert not list(workplace.iterdir())


def test_a_disk_without_rights_keeps_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.touch()
    without(monkeypatch, "pathlib.Path", "chmod", errno.EPERM)

    give_usual_rights(path)

    assert list(tmp_path.iterdir()) == [path]
