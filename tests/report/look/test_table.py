from pipeline.report.look.table import Drawn, bold, name, table


def test_cells_are_the_same_words_in_every_form() -> None:
    found = table(["A", "B"], [[name("a*b <c>"), bold("1 %")], ["`x_y`", Drawn("<i>p</i>", "#q", "r")]], "lr")
    assert found.plain == [["A", "B"], ["a*b <c>", "1 %"], ["x_y", "r"]]
    assert found.csv == "A,B\na*b <c>,1 %\nx_y,r\n"
    assert 'data-label="B"><strong>1 %</strong></td>' in found.html
    assert "a*b &lt;c&gt;" in found.html
    assert "<code>x_y</code>" in found.html
    assert "<i>p</i>" in found.html
    assert '[#"a*b <c>"], [#strong("1 %")]' in found.typst
    assert '[#raw("x_y")], [#q]' in found.typst


def test_a_column_of_many_words_takes_the_room_that_others_leave() -> None:
    found = table(["Text", "No."], [["many words in one cell " * 10, "99.9 %"]], "lr")
    assert "columns: (90fr, auto,)" in found.typst
    assert "columns: (auto, auto,)" in table(["A", "B"], [["1", "2"]], "lr").typst
