"""Downloads go on where they stopped, believe no content without its hash, and fail in one line."""

import hashlib
import http.server
import io
import re
import tarfile
import threading
from dataclasses import dataclass, field

import pytest

from pipeline.errors import DataError
from pipeline.learn import download
from pipeline.learn.download import Archive, fetch

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Mirror:
    """What a mirror serves, and what it was asked for."""

    content: bytes = CONTENT
    ranges: bool = True  # whether it can start in the middle
    status: int = 200
    breaks_after: int | None = None  # bytes after which it closes the connection, once
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def serve():
    """Return a function that starts a mirror on this machine."""
    servers = []

    def start(mirror):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self, mirror)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        mirror.url = f"http://127.0.0.1:{server.server_port}/file.tar.gz"
        return mirror

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(handler, mirror):
    wanted = handler.headers.get("Range")
    mirror.asked.append(wanted)
    if mirror.status != 200:
        handler.send_error(mirror.status)
        return
    start = int(re.findall(r"\d+", wanted)[0]) if wanted and mirror.ranges else 0
    if start >= len(mirror.content) > 0:
        handler.send_error(416)
        return
    body = mirror.content[start:]
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if mirror.breaks_after is not None:
        body, mirror.breaks_after = body[: mirror.breaks_after], None
    handler.wfile.write(body)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.tar.gz"


def test_a_file_is_fetched_with_progress(serve, path, capsys):
    fetch((serve(Mirror()).url,), path, MD5)
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert capsys.readouterr().err.splitlines()[-1] == "file.tar.gz: 1 of 1 MB"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_taken_up_again(serve, path, ranges):
    mirror = serve(Mirror(breaks_after=500_000, ranges=ranges))
    fetch((mirror.url,), path, MD5)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [None, "bytes=500000-"]


def test_what_an_earlier_try_left_is_continued(serve, path):
    path.with_name(".file.tar.gz.partial").write_bytes(CONTENT[:700_000])
    mirror = serve(Mirror())
    fetch((mirror.url,), path, MD5)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == ["bytes=700000-"]


def test_a_whole_file_that_was_not_renamed_is_taken(serve, path):
    path.with_name(".file.tar.gz.partial").write_bytes(CONTENT)
    fetch((serve(Mirror()).url,), path, MD5)
    assert path.read_bytes() == CONTENT


def test_a_damaged_beginning_is_fetched_anew(serve, path):
    path.with_name(".file.tar.gz.partial").write_bytes(b"x" * 700_000)
    mirror = serve(Mirror())
    fetch((mirror.url,), path, MD5)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == ["bytes=700000-", None]


def test_the_next_mirror_is_asked_when_one_fails(serve, path):
    missing, damaged, good = serve(Mirror(status=404)), serve(Mirror(content=b"page")), serve(Mirror())
    fetch((missing.url, damaged.url, good.url), path, MD5)
    assert path.read_bytes() == CONTENT


def test_a_slow_mirror_is_left_for_the_next_and_taken_if_there_is_no_other(serve, path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0)
    slow, quick = serve(Mirror()), serve(Mirror())
    fetch((slow.url,), path, MD5, slow=1e12)
    assert path.read_bytes() == CONTENT
    assert len(slow.asked) == 2
    path.unlink()
    fetch((slow.url, quick.url), path, MD5, slow=1e12)
    assert quick.asked


def test_when_no_mirror_has_it_each_answer_is_named(serve, path):
    broken, wrong = serve(Mirror(status=503)), serve(Mirror(content=b"page"))
    closed = "http://127.0.0.1:9/file.tar.gz"
    with pytest.raises(DataError) as error:
        fetch((broken.url, wrong.url, closed), path, MD5)
    message = str(error.value)
    assert message.startswith(f"{path}: no mirror gave it (127.0.0.1:")
    assert "HTTP 503 Service Unavailable" in message
    assert f"md5 is {hashlib.md5(b'page').hexdigest()}" in message
    assert "127.0.0.1:9: " in message
    assert message.endswith(f"Try again later, or put the archive there by hand (md5 {MD5}).")
    assert "\n" not in message


def packed(members):
    """Return a .tar.gz with these members, named in full."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            if content == b"link":
                about.type, about.linkname, about.size = tarfile.SYMTYPE, "/etc/passwd", 0
            archive.addfile(about, io.BytesIO(content))
    return file.getvalue()


def archive(content, members, mirrors=("http://127.0.0.1:9/x",)):
    md5s = {name: hashlib.md5(value).hexdigest() for name, value in members.items()}
    return Archive("x.tar.gz", hashlib.md5(content).hexdigest(), mirrors, "x", md5s)


def test_an_archive_is_fetched_and_unpacked_once(serve, tmp_path):
    content = packed({"x/a": b"one", "x/b": b"two", "x/other": b"three"})
    mirror = serve(Mirror(content=content))
    wanted = archive(content, {"a": b"one", "b": b"two"}, (mirror.url,))
    for _ in range(2):
        folder = wanted.obtain(tmp_path / "data")
    assert sorted(p.name for p in folder.iterdir()) == ["a", "b"]
    assert len(mirror.asked) == 1


def test_an_archive_put_there_by_hand_needs_no_connection(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    content = packed({"x/a": b"one"})
    (tmp_path / "x.tar.gz").write_bytes(content)
    assert (archive(content, {"a": b"one"}).obtain(tmp_path) / "a").read_bytes() == b"one"


def test_unpacking_cannot_leave_its_folder(tmp_path):
    content = packed({"x/../../outside": b"bad", "/tmp/outside": b"bad", "x/a": b"one", "x/b": b"link"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.tar.gz").write_bytes(content)
    archive(content, {"a": b"one"}).obtain(tmp_path / "data")
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if not p.name.startswith(".")} == {
        "data", "data/x.tar.gz", "data/x", "data/x/a",
    }  # fmt: skip


def test_a_link_in_the_place_of_a_file_is_refused(tmp_path):
    content = packed({"x/a": b"link"})
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match="does not hold what it should"):
        archive(content, {"a": b"link"}).obtain(tmp_path)


def test_a_damaged_archive_is_named_with_both_hashes(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"page")
    wanted = archive(packed({"x/a": b"one"}), {"a": b"one"})
    with pytest.raises(DataError) as error:
        wanted.obtain(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/x.tar.gz: md5 is {hashlib.md5(b'page').hexdigest()}, expected {wanted.md5}: "
        "the download is damaged. Delete it and run again, or put the archive there by hand."
    )


def test_offline_says_what_would_have_been_fetched_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    wanted = archive(b"", {"a": b"one"}, ("https://example.org/x.tar.gz",))
    with pytest.raises(DataError) as error:
        wanted.obtain(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/x.tar.gz: missing, and HEADSTART_OFFLINE forbids to fetch https://example.org/x.tar.gz. "
        f"Put the archive there by hand (md5 {wanted.md5}), set data_dir to the folder that holds x/, "
        "or unset HEADSTART_OFFLINE."
    )


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("1", True), ("yes", True)])
def test_offline_is_an_environment_variable(monkeypatch, value, expected):
    monkeypatch.setenv("HEADSTART_OFFLINE", value)
    assert download.offline() is expected


def test_a_damaged_unpacked_file_is_named_and_unpacked_again(tmp_path, caplog):
    content = packed({"x/a": b"one", "x/b": b"two"})
    (tmp_path / "x.tar.gz").write_bytes(content)
    wanted = archive(content, {"a": b"one", "b": b"two"})
    wanted.obtain(tmp_path)
    (tmp_path / "x/b").write_bytes(b"tw0")
    assert (wanted.obtain_verified(tmp_path) / "b").read_bytes() == b"two"
    assert "x/b: damaged; it is unpacked again" in caplog.text


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(DataError, match=r"data: cannot hold the data: .*Set data_dir to a folder"):
        archive(b"", {"a": b"one"}).obtain(tmp_path / "data")
