import colorsys
import re
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from pipeline import fonts
from pipeline.report.chapters import accuracy, calibration, classes, learning
from pipeline.report.look import svg, theme
from pipeline.report.study import Study
from tests.made_records import Made, MadeData, write_experiment
from tests.report.conftest import StudyOf

WORDS = (theme.TEXT, theme.MUTED, theme.BAD, *theme.MODEL_TONES)
PAGES = {"light": "#fefefe", "dark": "#12171c"}


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("tone", WORDS, ids=lambda tone: tone.light)
def test_words_have_the_contrast_that_wcag_asks_for(tone: theme.Tone, page: str) -> None:
    assert contrast(getattr(tone, page), PAGES[page]) >= 4.5


def test_numbers_on_the_heat_scale_can_be_read() -> None:
    for tone in (theme.HEAT[0], theme.HEAT[-1]):
        for page in PAGES:
            shades = [getattr(words, page) for words in (theme.TEXT, theme.ON_HEAT)]
            assert max(contrast(getattr(tone, page), shade) for shade in shades) >= 4.5


@pytest.mark.parametrize("page", PAGES)
def test_colors_of_models_differ_for_those_who_see_no_red_or_no_green(page: str) -> None:
    """Machado et al. 2009, severity 1: the first six colours stay apart in each kind of vision."""
    kinds = {
        "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        "no red": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
        "no green": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    }
    for matrix in kinds.values():
        seen = []
        for tone in theme.MODEL_TONES[:6]:
            color = getattr(tone, page)
            rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
            seen.append([sum(m * c for m, c in zip(row, rgb, strict=True)) for row in matrix])
        for one, other in combinations(seen, 2):
            assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.1


def test_no_two_models_look_alike(study_of: StudyOf) -> None:
    tones, marks = len(theme.MODEL_TONES), len(theme.MARKERS)
    looks = {(i % tones, i % marks) for i in range(tones * marks)}
    assert len(looks) == tones * marks
    styles = theme.model_styles(study_of("one_seed"))
    assert len(set(styles.values())) == 5
    assert all(colorsys.rgb_to_hls(*theme.to_rgb(style.color)) for style in styles.values())


def test_svg_swaps_every_color_where_the_reader_prefers_dark(study_of: StudyOf) -> None:
    content = svg.write(accuracy.figure(study_of("one_seed")).content[0])
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", content))
    light = {tone.light for tone in theme.TONES}
    assert used <= light
    dark = content.split("prefers-color-scheme: dark")[1]
    for color in used:
        assert f'"fill: {color}"' in dark
        assert f'"stroke: {color}"' in dark


def test_svg_is_the_same_every_time(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    assert svg.write(accuracy.figure(study).content[0]) == svg.write(accuracy.figure(study).content[0])


def test_scripts_that_the_font_lacks_stay_text(study_of: StudyOf) -> None:
    content = svg.write(classes.figure(study_of("long_names")).content)
    words = [
        element.text for element in ElementTree.fromstring(content).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert any("ミナミコアリクイ" in (text or "") for text in words)


def test_scripts_that_a_font_of_the_machine_has_become_outlines(
    study_of: StudyOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = classes.figure(study_of("long_names")).content
    japanese = frozenset("ミナミコアリクイ（）…")
    monkeypatch.setattr(fonts, "_others", lambda: [("Some Japanese font", japanese)])
    assert "<text" not in svg.write(drawing)
    assert all("Some Japanese font" in text.get_fontfamily() for text in drawing.findobj(Text))


def test_latin_words_become_outlines(study_of: StudyOf) -> None:
    assert "<text" not in svg.write(accuracy.figure(study_of("one_seed")).content[0])


def test_long_names_lose_their_middle() -> None:
    assert theme.short("a" * 30 + "b" * 30, 10) == "aaaaaa…bbb"
    assert theme.short("short", 10) == "short"
    assert "\n" not in theme.short("two\nlines", 20)


def test_spread_moves_labels_apart_and_keeps_their_order() -> None:
    places = theme.spread([0.5, 0.51, 0.1, 0.52], 0.05)
    ordered = sorted(places)
    assert all(b - a >= 0.0499 for a, b in pairwise(ordered))
    assert places[0] < places[1] < places[3]
    assert places[2] == pytest.approx(0.1)


def test_words_are_cut_to_what_is_shown_in_their_place() -> None:
    whole = "custom CNN (widths 5 + 8, dropout 0.01, label smoothing 0.01)"
    widths = [text_to_path.get_text_width_height_descent(words, FontProperties(size=9), False)[0]
              for words in (whole, theme.fitted(whole, 2))]  # fmt: skip
    assert widths[0] > 144 >= widths[1] > 120
    assert theme.fitted(whole, 20) == whole


def variants(folder: Path) -> Study:
    """Seven variants of one network, whose names are long, on three classes, whose charts are low."""
    models = [
        Made(
            accuracy=0.5 + k / 20,
            settings={"widths": [5 + k, 8], "label_smoothing": 0.01 * (k + 1), "dropout": 0.01 * (k + 1)},
        )
        for k in range(7)
    ]
    data = replace(MadeData(), classes=("cat", "dog", "fox"))
    return Study.from_records(*write_experiment(folder, "variants", data, tuple(models)))


@pytest.mark.parametrize("figure", [classes.figure, learning.figure_of_each, calibration.figure_of_each])
@pytest.mark.parametrize("of", ["transfer_wins", "variants"])
def test_legends_and_titles_stay_in_their_figure(
    study_of: StudyOf, tmp_path: Path, of: str, figure: Any
) -> None:
    content = figure(variants(tmp_path) if of == "variants" else study_of(of)).content
    drawings = content if isinstance(content, list) else [content]
    shown = 0
    for drawing in drawings:
        with theme.themed():
            drawing.draw_without_rendering()
            words = [text for legend in drawing.legends for text in legend.get_texts()]
            words += [drawing._suptitle] if drawing._suptitle else []
            edges = [one.get_window_extent() for one in words if one.get_text()]
            labels = [axes.xaxis.label.get_window_extent() for axes in drawing.axes]
            charts = [axes.get_window_extent() for axes in drawing.axes]
        shown += len(edges)
        assert all(edge.x1 <= drawing.bbox.x1 for edge in edges)
        assert all(label.y0 >= drawing.bbox.y0 for label in labels)
        rows = [one.get_window_extent() for legend in drawing.legends for one in legend.get_texts()]
        assert all(row.y0 >= max(chart.y1 for chart in charts) - 1 for row in rows)
    assert shown > 2
