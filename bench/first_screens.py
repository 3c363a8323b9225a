"""The pictures in ``docs/``: the first screen of a report, on a desktop and on a phone.

    python -m bench.first_screens reports/demo.html docs

Writes ``report.png`` (1280 × 800) and ``report-phone.png`` (390 × 844, at twice the pixels); needs Chromium
and Playwright.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image

from bench.report_size import FLAGS, SCREENS

PICTURES = {"desktop": ("report.png", 1), "phone": ("report-phone.png", 2)}
COLOURS = 256  # of a picture's palette, which keeps it small


def main(page: Path, folder: Path) -> None:
    """Write both pictures and print how large they are."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for screen, (name, scale) in PICTURES.items():
            width, height = SCREENS[screen]
            shown = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme="light"
            )
            shown.goto(page.resolve().as_uri())
            picture = (
                Image.open(io.BytesIO(shown.screenshot()))
                .convert("RGB")
                .quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
            )
            picture.save(folder / name, optimize=True)
            print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
