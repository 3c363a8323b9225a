import pytest

from pipeline.errors import SettingsError
from pipeline.experiment import checked_sizes


@pytest.mark.parametrize("sizes", [[100], ["all"], [100, 300, "all"], [1, 2]])
def test_rising_sizes_are_taken(sizes: list) -> None:
    assert checked_sizes(sizes) == tuple(sizes)


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        ([], "is empty"),
        ([0, 5], "holds 0;"),
        ([-1], "holds -1;"),
        ([1.5], "holds 1.5;"),
        ([True], "holds True;"),
        (["many"], "holds 'many';"),
        ([300, 100], "100 follows 300;"),
        ([100, 100], "100 follows 100;"),
        (["all", 100], "100 follows all;"),
        (["all", "all"], "all follows all;"),
    ],
)
def test_other_sizes_are_refused_in_one_line(sizes: list, found: str) -> None:
    with pytest.raises(SettingsError, match=f"^train_sizes.* ?{found}"):
        checked_sizes(sizes)
