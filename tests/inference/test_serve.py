"""The page that answers for an image: what it says, who may ask, and how it looks in Chromium."""

import http.client
import io
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline import cli
from pipeline.inference import Predictor, serve

pytestmark = pytest.mark.usefixtures("inside")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FAKE_WEBCAM = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def predictor(project: Path) -> Predictor:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return Predictor.from_run("runs/run")


@pytest.fixture
def port(predictor: Predictor) -> Iterator[int]:
    """The port of a server of the network."""
    with serve.server(predictor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def digit(number: int = 3) -> bytes:
    digits, file = load_digits(), io.BytesIO()
    row = int(np.flatnonzero(digits.target == number)[0])
    Image.fromarray(np.uint8(np.rint(digits.images[row] * 255 / 16))).save(file, "PNG")
    return file.getvalue()


def asked(port: int, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET" if body is None else "POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_answer_is_that_of_the_network_with_its_nearest_training_images(
    port: int, predictor: Predictor
) -> None:
    status, text = asked(port, digit())
    found = json.loads(text)
    expected = predictor([Image.open(io.BytesIO(digit()))])
    assert status == 200
    assert found["prediction"] == expected.prediction[0]
    assert found["probability"] == pytest.approx(float(expected.probability.max()), abs=1e-6)
    assert found["top"][0][0] == found["prediction"]
    assert found["unlike_training"] in (True, False)
    assert len(found["nearest"]) == 5
    assert expected.nearest is not None
    labels = [predictor.classes[int(predictor.data.train.targets[k])] for k in expected.nearest[0]]
    assert [one["label"] for one in found["nearest"]] == labels


def test_what_is_no_image_is_said_in_words(port: int) -> None:
    status, text = asked(port, b"no image")
    assert status == 400
    assert "no image that can be read" in json.loads(text)["error"]
    assert asked(port, b"")[0] == 413


def test_only_its_own_page_may_ask(port: int) -> None:
    assert asked(port)[0] == 200
    assert asked(port, Host=f"localhost:{port}")[0] == 200
    assert asked(port, Host=f"evil.example:{port}")[0] == 403
    assert asked(port, digit(), Origin="http://evil.example")[0] == 403
    assert asked(port, digit(), Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_it_listens_on_this_machine_alone_unless_asked(predictor: Predictor) -> None:
    with serve.server(predictor) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_refused_in_one_line(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["try", "runs/run", "--port", str(port)]) == 2
    assert "cannot be listened on" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium on the PATH (apt install chromium)")
def test_an_image_that_is_dropped_chosen_or_taken_is_answered_in_a_browser(port: int, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    (tmp_path / "three.png").write_bytes(digit())
    (tmp_path / "broken.png").write_bytes(b"no image")
    problems: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *FAKE_WEBCAM])
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.on("pageerror", lambda error: problems.append(str(error)))
        own = (f"http://127.0.0.1:{port}/", "blob:", "data:")
        page.on("request", lambda one: None if one.url.startswith(own) else problems.append(one.url))
        page.on("console", lambda said: problems.append(said.text) if "Security" in said.text else None)
        page.goto(f"http://127.0.0.1:{port}/")
        box, hand = page.locator("#drop").bounding_box(), page.context.new_cdp_session(page)
        file = {"items": [], "files": [str(tmp_path / "three.png")], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):  # as a file that is dragged in from the desktop
            place = {"x": box["x"] + 20, "y": box["y"] + 20}
            hand.send("Input.dispatchDragEvent", {"type": kind, **place, "data": file})
        page.wait_for_selector("#result:not([hidden])")
        assert page.inner_text("#prediction").endswith(" %")
        assert page.locator("#nearest img").count() == 5
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.set_input_files("#file", tmp_path / "broken.png")
        page.wait_for_selector("#error:not([hidden])")
        assert "no image" in page.inner_text("#error")
        page.set_input_files("#file", tmp_path / "three.png")
        page.wait_for_selector("#result:not([hidden])")
        assert page.locator("#error").is_hidden()
        page.click("#webcam")
        page.wait_for_selector("#shoot:not([hidden])")
        page.evaluate("document.getElementById('result').hidden = true")
        page.click("#shoot")
        page.wait_for_selector("#result:not([hidden])")
        assert page.evaluate("document.getElementById('asked').naturalWidth") > 100  # the webcam's, not 8
        browser.close()
    assert problems == []
