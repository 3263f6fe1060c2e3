"""`fdifc play` where something is missing or wrong; what it serves is tested in tests/runtime/play."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.cli import play


def test_without_its_extra(fdifc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "find_spec", lambda name: None if name in ("uvicorn", "websockets") else name)
    result = fdifc("play")
    assert result.exit_code == 1
    assert result.stderr == """\
error[E0890]: the playground needs uvicorn and websockets
  --> fdifc play
  hint: pip install 'fdif-dsl[play]'
"""


@pytest.fixture
def needed() -> None:
    for package in play._NEEDED:
        pytest.importorskip(package)


@pytest.mark.usefixtures("needed")
def test_a_second_server_on_the_port(fdifc: Any) -> None:
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        result = fdifc("play", "--no-browser", "--port", str(port))
    assert result.exit_code == 1
    assert result.stderr == f"""\
error[E0891]: port {port} is in use
  --> fdifc play --port
  why: another program listens there; it may be another playground
  hint: --port 0 takes any that is free
"""


@pytest.mark.usefixtures("needed")
def test_an_address_of_another_machine(fdifc: Any) -> None:
    result = fdifc("play", "--no-browser", "--port", "0", "--host", "192.0.2.1")
    assert result.exit_code == 1 and "error[E0892]: cannot listen on 192.0.2.1, port 0: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize(("name", "told"), [
    ("none.sdf", "cannot open none.sdf: there is no file none.sdf"),
    ("notes.txt", "cannot open notes.txt: notes.txt does not end in .sdf"),
    ("bytes.sdf", "cannot open bytes.sdf: bytes.sdf is not UTF-8 text"),
    ("../elsewhere.sdf", "cannot open ../elsewhere.sdf: ../elsewhere.sdf is not in the folder ")])
def test_a_bad_file(fdifc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "elsewhere.sdf").write_text("")
    (folder / "notes.txt").write_text("")
    (folder / "bytes.sdf").write_bytes(b"\xff")
    monkeypatch.chdir(folder)
    result = fdifc("play", "--no-browser", "--port", "0", name)
    assert result.exit_code == 1 and f"error[E0893]: {told}" in result.stderr
    assert ("cd " in result.stderr) == name.startswith("..")


@pytest.mark.usefixtures("needed")
def test_it_says_where_it_is_and_what_it_exposes_and_ends(tmp_path: Path) -> None:
    code = "from fdif_dsl.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "play", "--no-browser", "--port", "0", "--host", "0.0.0.0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        told = ""
        while "Ctrl-C" not in told and (line := process.stdout.readline()):
            told += line
        address = re.search(r"http://127\.0\.0\.1:(\d+)/([\w-]{32})/\n", told)
        assert address and f"The playground of {tmp_path}" in told and "It listens on 0.0.0.0: whoever reaches" in told
        asked = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=60)
        asked.request("GET", f"/{address[2]}/")
        assert asked.getresponse().status == 200
        asked.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130, -signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
