"""The torch hub cache: downloads from a server on this machine, hash-checked and replaced when damaged."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import ModelError
from pipeline.learn import download

CONTENT = b"weights" * 1000
NAME = f"net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    (folder / "net-00000000.pth").write_bytes(CONTENT)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_file_is_downloaded_once_into_the_torch_hub_cache(address: str, tmp_path: Path) -> None:
    import torch

    path = download.fetch_weights(f"{address}/{NAME}")
    assert path.read_bytes() == CONTENT
    assert path == Path(torch.hub.get_dir()) / "checkpoints" / NAME
    (tmp_path / "served" / NAME).unlink()
    assert download.fetch_weights(f"{address}/{NAME}") == path


def test_a_user_without_a_home_keeps_weights_in_the_studys_cache(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)

    assert download.cached_path(f"https://x/{NAME}") == Path("cache/torch/hub/checkpoints") / NAME


def test_damaged_cached_file_is_named_and_replaced(address: str, capsys: pytest.CaptureFixture) -> None:
    path = download.cached_path(f"{address}/{NAME}")
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT[:-1])
    assert download.fetch_weights(f"{address}/{NAME}").read_bytes() == CONTENT
    assert f"{path}: damaged" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["net-00000000.pth", "net-12345678.pth"])
def test_failed_download_names_address_place_and_the_way_round(address: str, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        download.fetch_weights(f"{address}/{name}")
    message = str(caught.value)
    assert f"{address}/{name}: could not be downloaded" in message
    assert str(download.cached_path(name)) in message
    assert "weights: path/to/file" in message
    assert not download.cached_path(name).exists()


def test_unreachable_server_is_one_line(address: str) -> None:
    with pytest.raises(ModelError, match="could not be downloaded") as caught:
        download.fetch_weights("http://127.0.0.1:9/net-12345678.pth")
    assert "\n" not in str(caught.value)


def test_cache_that_cannot_be_written_is_one_line(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be written or read .*Set TORCH_HOME"):
        download.fetch_weights(f"{address}/{NAME}")


def test_offline_makes_no_connection(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline"):
        download.fetch_weights(f"{address}/{NAME}")
    monkeypatch.setenv("HEADSTART_OFFLINE", "0")
    path = download.fetch_weights(f"{address}/{NAME}")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    assert download.fetch_weights(f"{address}/{NAME}") == path


def test_two_runs_fetch_the_same_file_once(address: str) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(download.fetch_weights(f"{address}/{NAME}")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 3
    assert paths[0].read_bytes() == CONTENT


def test_cache_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (
        download.cached_path("a/b-12345678.pth")
        == tmp_path / "torch" / "hub" / "checkpoints" / "b-12345678.pth"
    )
