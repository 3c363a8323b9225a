from pipeline.report.look.table import BETWEEN, ROOM, table


def test_short_tables_leave_their_widths_to_the_page() -> None:
    markdown = table(["A", "B"], [["1", "2"]], "lr").data
    assert max(map(len, markdown.splitlines())) < 72


def test_long_words_wrap_and_numbers_keep_their_room() -> None:
    words = "many words in one cell " * 10
    rule = table(["Text", "No."], [[words, "99.9\u00a0%"]], "lr").data.splitlines()[1]
    text, number = (cell.strip() for cell in rule.strip("|").split("|"))
    assert len(text) + len(number) == ROOM
    assert len(number) == len("99.9 %") + BETWEEN
