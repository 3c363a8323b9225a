"""The page in Chromium: mouse, keyboard, phone, dark mode, paper, and no JavaScript."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.confidence import scale
from pipeline.report.words.english import flat
from pipeline.report.words.numbers import percent
from tests.report.conftest import StudyOf
from tests.report.made_report import KIND, ROOT, Report

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = ROOT / ".tools" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium on the PATH (apt install chromium)"),
]
Open = Callable[..., "playwright.Page"]
# What a reader sees of what a selector finds, in the order of the page, by its words.
IN_ORDER = """(selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility())
    .map((one) => one.alt ?? (one.querySelector(":scope > .finding") ?? one).textContent.replace(/#$/, ""))"""


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def look(browser: "playwright.Browser", report: Report) -> Iterator["playwright.Page"]:
    """The report, opened once for all tests that change nothing on it."""
    with _watched(browser, report) as open_page:
        yield open_page()


@pytest.fixture
def show(browser: "playwright.Browser", report: Report) -> Iterator[Open]:
    """Open the report for one test."""
    with _watched(browser, report) as open_page:
        yield open_page


@contextmanager
def _watched(browser: "playwright.Browser", report: Report) -> Iterator[Open]:
    """Open the report; at the end nothing was logged as an error and nothing was asked for."""
    contexts, problems = [], []

    def open_page(**options: object) -> "playwright.Page":
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: problems.append(request.url) if _outside(request.url) else None)
        page.goto(report.html.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def _outside(address: str) -> bool:
    return not address.startswith(("data:", "file:", "blob:"))


def visible(page: "playwright.Page", selector: str) -> int:
    return sum(element.is_visible() for element in page.query_selector_all(selector))


def test_nothing_scrolls_sideways(show: Open) -> None:
    page = show()
    for width in (360, 390, 768, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width


def test_tabs_work_by_mouse_and_keyboard(show: Open) -> None:
    page = show()
    tabs = page.locator(".explorer [role=tab]")
    assert tabs.count() == 5
    assert visible(page, ".explorer [role=tabpanel]") == 1
    panels = page.locator(".explorer [role=tabpanel]")
    tabs.nth(2).click()
    assert tabs.nth(2).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowRight")
    assert tabs.nth(3).evaluate("tab => tab === document.activeElement")
    assert panels.nth(3).is_visible()
    page.keyboard.press("End")
    assert panels.nth(4).is_visible()
    page.keyboard.press("ArrowRight")
    assert panels.nth(0).is_visible()


def test_the_explorer_opens_on_the_best_model(look: "playwright.Page", study_of: StudyOf) -> None:
    study = study_of(KIND)
    number = study.models.index(study.best)  # type: ignore[arg-type]
    assert look.locator(f".explorer [data-model='{number}']").is_visible()


def test_a_cell_opens_the_images_behind_it(show: Open, study_of: StudyOf) -> None:
    page = show()
    panel = page.locator(".explorer [role=tabpanel]").first
    number = int(panel.get_attribute("data-model") or 0)
    button = panel.locator("button[data-true]").first
    true, predicted = (int(button.get_attribute(f"data-{name}") or 0) for name in ("true", "predicted"))
    button.click()
    shown = panel.locator(".shown li")
    assert shown.count() == panel.locator(".shown img").count() > 0
    split = study_of(KIND).models[number].chosen_test
    behind = set(split.index[(split.target == true) & (split.predicted == predicted)].tolist())
    numbers = {int(n) for n in re.findall(r"No\. (\d+)", panel.locator(".shown").inner_text())}
    assert numbers <= behind
    button.click()
    assert shown.count() == 0


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_images_stand_in_view_of_the_cell_that_opened_them(show: Open, size: tuple[int, int]) -> None:
    width, height = size
    panel = show(viewport={"width": width, "height": height}).locator(".explorer [role=tabpanel]").first
    buttons = panel.locator("button[data-true]")
    for button in (buttons.first, buttons.last):
        button.click()
        for one in (button, panel.locator(".shown")):
            box = one.bounding_box()
            assert box is not None
            assert -1 <= box["y"] <= box["y"] + box["height"] <= height + 1


def test_what_scrolls_sideways_says_so(show: Open) -> None:
    page = show(viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Open all").click()
    untold = page.evaluate("""[...document.querySelectorAll(".scroll")].filter((box) => box.clientWidth &&
        box.scrollWidth > box.clientWidth + 1 && !box.previousElementSibling?.matches(".sideways")).length""")
    assert untold == 0
    assert visible(page, ".sideways") > 0


def test_cells_are_reached_by_arrow_keys(show: Open) -> None:
    page = show()
    panel = page.locator(".explorer [role=tabpanel]").first
    panel.locator("button[data-true]").first.focus()
    row = "document.activeElement.closest('tr').rowIndex"
    before = page.evaluate(row)
    page.keyboard.press("ArrowDown")
    assert page.evaluate(row) > before
    page.keyboard.press("Enter")
    assert panel.locator(".shown img").count() > 0
    assert panel.locator("button[data-true][tabindex='0']").count() == 1


def test_slider_shows_what_remains_at_each_threshold(show: Open, study_of: StudyOf) -> None:
    page = show()
    slider = page.get_by_label("Answer only where")
    slider.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert slider.get_attribute("aria-valuetext") == "2.0 %"
    slider.fill("90")
    model = study_of(KIND).models[0]
    split = scale(model.chosen_test, model.calibration.temperature)
    kept = split.probability.max(axis=1) >= 0.9
    row = page.locator(".threshold tbody tr").first.inner_text()
    assert f"{100 * kept.mean():.1f} %" in row
    assert f"{100 * split.correct[kept].mean():.1f} %" in row


def test_headline_sorts_both_ways_by_number_and_name(show: Open, study_of: StudyOf) -> None:
    page = show()
    found = lambda: page.locator("#tbl-headline tbody tr td:first-child").all_inner_texts()  # noqa: E731
    names = lambda: [" ".join(name.split()[1:]) for name in found()]  # noqa: E731
    ranked = sorted(study_of(KIND).models, key=lambda model: model.test_accuracy)
    assert names() == [model.label for model in reversed(ranked)]
    header = page.locator("#tbl-headline th").nth(2)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names() == [model.label for model in ranked]
    page.locator("#tbl-headline th").nth(0).locator("button").click()
    assert found() == sorted(found(), reverse=True)


def test_contents_follow_the_reader(show: Open) -> None:
    page = show()
    page.locator("#cost").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('cost').scrollIntoView({behavior: 'instant'})")
    page.locator("#TOC a[href='#cost'][aria-current]").wait_for()


def test_contents_fold_on_a_phone(show: Open) -> None:
    page = show(viewport={"width": 360, "height": 700})
    button = page.get_by_role("button", name="Contents")
    assert visible(page, "#TOC li a") == 0
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    page.locator("#TOC a[href='#limits-and-next-runs']").click()
    assert visible(page, "#TOC li a") == 0
    assert page.evaluate("location.hash") == "#limits-and-next-runs"


def test_first_tab_stop_skips_to_the_report(show: Open) -> None:
    page = show()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"


def test_figures_and_page_turn_dark_together(show: Open, tmp_path: Path) -> None:
    from PIL import Image

    for scheme in ("light", "dark"):
        page = show(color_scheme=scheme)
        figure = page.locator("#fig-accuracy img").first
        figure.scroll_into_view_if_needed()
        figure.screenshot(path=tmp_path / f"{scheme}.png")
        picture = Image.open(tmp_path / f"{scheme}.png").convert("L")
        background = max(picture.getcolors() or [(0, 0)])[1]
        assert background > 240 if scheme == "light" else background < 40
        darkest, lightest = picture.getextrema()
        assert lightest - darkest > 150


def test_without_javascript_the_report_is_whole(show: Open) -> None:
    page = show(java_script_enabled=False)
    assert page.locator(".threshold").is_hidden()
    assert page.locator("figure img").count() >= 14
    assert visible(page, ".explorer [data-model]") == 5
    assert page.locator("#tbl-runs").is_visible()  # nothing is folded
    details = page.locator(".pool details").first
    details.locator("summary").click()
    assert details.locator("img").first.is_visible()
    assert visible(page, "#TOC li a") > 11
    assert page.locator(".downloads a").count() == 5


def test_a_notebook_can_be_downloaded(show: Open) -> None:
    page = show()
    page.get_by_role("button", name="Open all").click()
    with page.expect_download() as download:
        page.locator(".downloads a").first.click()
    assert download.value.suggested_filename.endswith(".ipynb")
    assert '"nbformat"' in download.value.path().read_text(encoding="utf-8")


def test_paper_leaves_out_what_only_works_on_a_screen(show: Open) -> None:
    page = show()
    page.emulate_media(media="print")
    assert visible(page, ".threshold, .pool, .explorer [role=tablist]") == 0
    assert page.locator("#TOC").is_hidden()
    assert visible(page, ".explorer [data-model]") == 5
    assert visible(page, ".explorer [data-model] > h3") == 5  # each matrix says whose it is
    assert page.locator("#tbl-runs").is_visible()


def test_the_appendix_is_folded_and_opens_by_link_button_and_all_at_once(show: Open) -> None:
    page = show()
    folds = page.locator(".fold").count()
    assert folds >= 10
    assert visible(page, "#tbl-runs") == 0
    page.evaluate("location.hash = '#tbl-runs'")
    page.locator("#tbl-runs").wait_for()
    button = page.get_by_role("button", name="Scores and tests")
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert page.locator("#tbl-tests").is_visible()
    page.get_by_role("button", name="Open all").click()
    assert page.locator(".fold[hidden]").count() == 0


def test_headings_have_links_and_figures_their_files(look: "playwright.Page") -> None:
    assert look.locator("main h2 .permalink").count() >= 10
    with look.expect_download() as download:
        look.locator("#fig-accuracy .file", has_text="SVG").first.click()
    assert "<svg" in download.value.path().read_text(encoding="utf-8")
    with look.expect_download() as download:
        look.locator("#fig-accuracy .file", has_text="CSV").click()
    assert download.value.path().read_text(encoding="utf-8").startswith(",Model,Accuracy")


@pytest.mark.parametrize("label", ["fig-network", "tbl-errors", "fig-confusion"])
def test_what_the_page_draws_itself_is_a_file_too(look: "playwright.Page", label: str) -> None:
    figure = look.locator(f"#{label}")
    with look.expect_download() as download:
        figure.locator(".file", has_text="SVG").first.click()
    drawing = ElementTree.parse(download.value.path()).getroot()
    words = "".join(drawing.itertext())
    images = [one for one in drawing.iter() if one.tag.endswith("image")]
    if label == "fig-network":
        assert "parameters" in words
        assert "→" in words
    if label == "tbl-errors":
        assert len(images) == figure.locator(".cards img").count() > 0


def test_every_float_has_its_numbers_as_a_file(look: "playwright.Page") -> None:
    without = look.evaluate("""[...document.querySelectorAll("main figure")].filter((one) =>
        !one.querySelector(".file[download$='.csv']")).map((one) => one.id)""")
    assert without == []


def test_a_screen_reader_reads_the_page_in_its_order(show: Open) -> None:
    page = show()
    read = list(_read(page))
    beginning = next(place for place, (role, _) in enumerate(read) if role == "main")
    seen = {
        "heading": ":is(h1, h2, h3)",
        "figure": "figure",  # named by what it shows
        "image": "img",
        "table": "table",
    }
    for role, selector in seen.items():
        found = page.evaluate(IN_ORDER, f"main {selector}")
        names = [name for said, name in read[beginning:] if said == role]
        assert found
        if role == "table":
            assert len(names) == len(found)
        else:
            assert names == [flat(words) for words in found]
    folded = [flat(words) for words in page.locator("h3 > button[aria-expanded]").all_inner_texts()]
    assert len(folded) >= 10
    assert [name for role, name in read if role == "button" and name in folded] == folded
    page.get_by_role("button", name="Open all").click()
    assert sum(role == "figure" for role, _ in _read(page)) == page.locator("main figure").count()


def _read(page: "playwright.Page") -> Iterator[tuple[str, str]]:
    """Yield role and name of what Chromium hands to a screen reader, in its order."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = {node["nodeId"]: node for node in tree}
    waiting = [tree[0]["nodeId"]]
    while waiting:
        node = nodes[waiting.pop()]
        waiting += reversed([child for child in node.get("childIds", ()) if child in nodes])
        if not node["ignored"]:
            yield node["role"]["value"], flat(node.get("name", {}).get("value", ""))


def test_a_phone_opens_the_rest_of_a_row(show: Open) -> None:
    page = show(viewport={"width": 390, "height": 844})
    row = page.locator("#tbl-headline tbody tr").first
    assert row.locator("td").nth(4).is_hidden()
    row.get_by_role("button").click()
    assert row.locator("td").nth(4).is_visible()


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --prefix .tools axe-core")
@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_axe_finds_no_violation(show: Open, scheme: str, width: int) -> None:
    page = show(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.get_by_role("button", name="Open all").click()
    page.locator(".explorer button[data-true]").first.click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")  # what passes is not described
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_the_answer_is_on_the_first_screen(show: Open, study_of: StudyOf, size: tuple[int, int]) -> None:
    width, height = size
    page = show(viewport={"width": width, "height": height})
    answer = page.locator(".answer")
    for part in (".answer", ".tiles", "#tbl-headline", ".beside"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height, part
    best = study_of(KIND).best
    assert best is not None
    assert percent(best.test_accuracy) in answer.inner_text().replace("\u202f", "\u00a0")
