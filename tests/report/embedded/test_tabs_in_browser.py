import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on the PATH"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page_file(every_feature, tmp_path: Path) -> str:
    file = tmp_path / "page.html"
    file.write_text(every_feature.page)
    return file.as_uri()


def test_tabs_work_by_mouse_and_keyboard_without_an_error_or_a_request(browser, page_file):
    page = browser.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file)
    assert page.get_by_role("tab").count() == 2
    assert page.get_by_text("Content two.").is_hidden()
    page.get_by_role("tab", name="Second tab").click()
    assert page.get_by_text("Content two.").is_visible()
    assert page.get_by_text("Content one with").is_hidden()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="First tab").get_attribute("aria-selected") == "true"
    assert page.get_by_text("Content one with").is_visible()
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert errors == []
    page.close()


def test_reference_opens_the_tab_that_holds_its_figure(browser, page_file):
    page = browser.new_page()
    page.goto(page_file)
    page.get_by_role("tab", name="Second tab").click()
    assert page.locator("#fig-tabbed").is_hidden()
    page.evaluate("location.hash = '#fig-tabbed'")
    page.locator("#fig-tabbed").wait_for(state="visible", timeout=5000)
    page.close()


def test_page_is_whole_without_javascript_and_in_print(browser, page_file):
    page = browser.new_page(java_script_enabled=False)
    page.goto(page_file)
    assert page.get_by_text("Content one with").is_visible()
    assert page.get_by_text("Content two.").is_visible()
    assert page.get_by_role("tab").count() == 0
    page.close()
    page = browser.new_page()
    page.goto(page_file)
    page.emulate_media(media="print")
    assert page.get_by_text("Content two.").is_visible()
    page.close()


def test_page_does_not_scroll_sideways_on_a_phone(browser, page_file):
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(page_file)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()
