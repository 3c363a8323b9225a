"""What grows with images and classes, and how it is told."""

from pathlib import Path

import pytest

from bench import growth


def test_each_size_is_measured_once_beside_the_middle_of_the_other() -> None:
    assert list(growth.cases(quick=False)) == [
        (1_000, 10), (10_000, 10), (50_000, 10), (10_000, 100), (10_000, 1_000),
    ]  # fmt: skip


def test_images_are_parted_evenly(tmp_path: Path) -> None:
    growth.write_images(tmp_path, 40, 4)

    for split, count in (("train", 8), ("test", 2)):
        assert [len(list(folder.iterdir())) for folder in (tmp_path / split).iterdir()] == [count] * 4


def test_rows_are_told_as_multiples_of_the_first_of_their_kind() -> None:
    rows = [
        {"what": "training", "images": images, "classes": 10, "seconds": seconds, "memory": 5e8}
        for images, seconds in ((1_000, 2.0), (10_000, 21.0))
    ]

    last = growth.table(rows).splitlines()[-1]

    assert last == "| training | 10,000 | 10 | 21.0 | 10 × | 500 MB | 1 × |"


@pytest.mark.slow
def test_the_quick_form_measures_all_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "QUICK", {"images": (60,), "classes": (3,)})

    assert growth.main(["--quick", "--output", str(tmp_path)]) == 0

    lines = (tmp_path / "growth.md").read_text(encoding="utf-8").splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| features", "| report", "| training"]
    assert all(" | 1 × |" in line for line in lines)
