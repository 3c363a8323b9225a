from pipeline.report.words.phrases import each_or_span


def test_values_of_a_few_models_are_each_said_and_of_many_the_ends() -> None:
    def show(value: float) -> str:
        return f"{value:.0f}"

    assert each_or_span([3, 3, 3], show) == "3"
    assert each_or_span([3, 1], show) == "3 and 1"
    assert each_or_span([3, 1, 4, 1, 5], show) == "1 to 5"
