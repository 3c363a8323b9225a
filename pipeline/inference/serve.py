"""The command ``try``: a page on this machine that answers for an image dropped on it.

The page asks for nothing but this server; the server keeps nothing. Unless asked otherwise it listens on
this machine alone, and answers only who calls it by its own name: a page from elsewhere cannot use it.

It is not made of Gradio, though that could show all of this, offline too: Gradio 6.31 needs a Pillow below 13
and a dozen packages more, answers a request under any name (Host) and sends no Content-Security-Policy.
"""

import base64
import io
import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from PIL import Image

from pipeline.errors import HeadstartError, InputError
from pipeline.inference.predictor import Predictor
from pipeline.learn.data.decode import strict_pillow
from pipeline.learn.data.unreadable import reason

TEMPLATE = Path(__file__).with_name("serve.html")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 64_000_000
MOST_ANSWERS = 5


@dataclass
class Asked:
    """A network that answers one image at a time, with what its page says of it."""

    predictor: Predictor
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, content: bytes) -> dict[str, Any]:
        """Return what the network says of an image file. Raises InputError for what is no image."""
        try:
            with strict_pillow(), Image.open(io.BytesIO(content)) as image:
                image.load()
                opened = image.copy()
        except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
            raise InputError(f"This is no image that can be read ({reason(error)}).") from None
        with self.lock:
            answers = self.predictor([opened])
        if not len(answers):
            raise InputError(f"This image cannot be used ({answers.unreadable[0]}).")
        probability = answers.probability[0]
        order = sorted(range(len(probability)), key=lambda k: -probability[k])[:MOST_ANSWERS]
        unlike = answers.unlike_training
        return {
            "prediction": answers.prediction[0],
            "probability": float(probability.max()),
            "unsure": bool(answers.unsure[0]),
            "unlike_training": None if unlike is None else bool(unlike[0]),
            "top": [[answers.classes[k], float(probability[k])] for k in order],
            "nearest": [] if answers.nearest is None else [self._shown(int(k)) for k in answers.nearest[0]],
        }

    def _shown(self, row: int) -> dict[str, str]:
        """Return one training image, as a picture and the name of its class."""
        train, file = self.predictor.data.train, io.BytesIO()
        Image.fromarray(train.pixels[row].cpu().numpy()).save(file, "PNG")
        return {
            "picture": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}",
            "label": self.predictor.classes[int(train.targets[row])],
        }

    def page(self, nonce: str) -> str:
        """Return the page."""
        record = self.predictor.record
        template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
            TEMPLATE.read_text(encoding="utf-8")
        )
        return template.render(
            nonce=nonce,
            run=record.run_id,
            data=record.settings.data_name,
            classes=len(record.classes),
            accuracy=f"{100 * record.split('test').correct.mean():.1f} %",
            below=self.predictor.unsure_below,
            why_not=self.predictor.why_no_likeness,
        )


def server(predictor: Predictor, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """Return a server of a network's page, which listens already; port 0 takes a free one.

    Raises InputError where the address cannot be had.
    """
    asked = Asked(predictor)

    class Handler(_Handler):
        network = asked
        names = (*LOOPBACK, host) if host in LOOPBACK else None

    try:
        return ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"--host {host} --port {port}: cannot be listened on: {error}.") from None


class _Handler(BaseHTTPRequestHandler):
    network: Asked
    names: tuple[str, ...] | None  # by which it may be called; None: by any

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path != "/":
            self._send(404, "text/plain", "There is only the page at /.")
            return
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "img-src data: blob:; media-src blob:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._send(200, "text/html", self.network.page(nonce), {"Content-Security-Policy": policy})

    def do_POST(self) -> None:
        if not self._allowed():
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or not 0 < int(length) <= MOST_BYTES:
            self._json(413, {"error": f"An image must have 1 to {MOST_BYTES:,} bytes."})
            return
        content = self.rfile.read(int(length))
        try:
            self._json(200, self.network.answer(content))
        except HeadstartError as error:
            self._json(400, {"error": str(error)})

    def _allowed(self) -> bool:
        """Whether the page itself calls; a page from elsewhere may reach this port by other names."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        named = self.names is None or host.rpartition(":")[0].strip("[]") in self.names
        if named and origin in (None, f"http://{host}"):
            return True
        self.close_connection = True
        self._send(403, "text/plain", "Only this server's own page may ask.")
        return False

    def _json(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(content))

    def _send(self, status: int, kind: str, text: str, also: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **(also or {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: what is asked stays here."""
