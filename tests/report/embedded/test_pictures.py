import base64

from tests.report.embedded.tools import FIXTURES, SVG, display, figure, markdown, page_of, render_text

DOT = base64.b64encode((FIXTURES / "dot.png").read_bytes()).decode()


def test_picture_files_are_found_beside_the_document(tmp_path):
    (tmp_path / "my pictures").mkdir()
    (tmp_path / "my pictures" / "dot.png").write_bytes((FIXTURES / "dot.png").read_bytes())
    files = render_text("![A dot](my%20pictures/dot.png)\n", tmp_path, formats=("html", "pdf"))
    assert f'src="data:image/png;base64,{DOT}"' in files["html"].decode()
    assert b"/Image" in files["pdf"]


def test_pictures_written_as_data_reach_both_formats(tmp_path):
    output = markdown(f"![A dot](data:image/png;base64,{DOT})\n")
    files = render_text("```{python}\n1\n```\n", tmp_path, [[output]], ("html", "pdf"))
    assert f'src="data:image/png;base64,{DOT}"' in files["html"].decode()
    assert b"/Image" in files["pdf"]


def test_drawings_lose_their_metadata_but_nothing_else(tmp_path):
    drawing = SVG.replace("<rect", "<metadata>\n<secret/></metadata><rect")
    page = page_of("```{python}\n1\n```\n", tmp_path, [[display({"image/svg+xml": drawing})]])
    assert base64.b64encode(SVG.encode()).decode() in page


def test_values_that_drawing_returns_are_left_out(tmp_path):
    outputs = [display({"text/plain": "<matplotlib.legend.Legend at 0x7f>"}), figure()]
    page = page_of("```{python}\n1\n```\n", tmp_path, [outputs])
    assert "matplotlib" not in page
    assert page.count("<img ") == 1


def test_colours_of_a_terminal_are_left_out(tmp_path):
    page = page_of("```{python}\n1\n```\n", tmp_path, [[display({"text/plain": "\x1b[31mred\x1b[0m"})]])
    assert "<pre><code>red</code></pre>" in page
