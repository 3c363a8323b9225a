"""What is kept in caches is read as it was written, or made again; never something else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.experiment import RunSettings
from pipeline.files import read_kept, write_kept
from pipeline.learn.data.duplicates import cached_near_duplicates
from pipeline.learn.data.fingerprint import files_fingerprint
from pipeline.learn.data.sources import checked_fingerprints
from pipeline.learn.listing import cached_listing

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

    def answers() -> tuple[object, ...]:
        return (
            files_fingerprint("data", [("x", str(data))]),
            checked_fingerprints([RunSettings()]),
            cached_near_duplicates("key", images[:3], images[2:])[0].tolist(),
            cached_listing("torch", lambda: {"resnet": {"size": 224}}),
        )

    expected = answers()
    damage_all(Path("cache"), region)

    assert answers() == expected
    assert answers() == expected
