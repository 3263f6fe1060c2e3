"""The Hugging Face hub, played by a small server on this machine: `huggingface_hub` itself talks to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.exports.export import export
from fdif_dsl.runtime.training.pretrained import Pretrained

hub: Any = pytest.importorskip("huggingface_hub")

COMMIT = "0" * 39 + "1"


class Server(ThreadingHTTPServer):
    """`files` are those of the only repository, `me/organs`; `token` is what it lets in. `asked` are the requests, and
    `commits` what was written."""

    files: dict[str, bytes]
    token = "hf_secret"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.asked: list[str] = []
        self.commits: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes = b"", code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == f"Bearer {self.server.token}"
            return self.answer(json.dumps({"name": "me", "type": "user"}).encode(), 200 if known else 401)
        _, user, name, *rest = self.path.split("/")
        if (user, name) != ("me", "organs"):
            return self.answer(b"", 404, X_Error_Code="RepoNotFound")
        file = self.server.files.get(rest[-1])
        if file is None:
            return self.answer(b"", 404, X_Error_Code="EntryNotFound")
        return self.answer(file, X_Repo_Commit=COMMIT, ETag=f'"{hashlib.sha1(file).hexdigest()}"')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        if self.path == "/api/repos/create":
            self.server.commits.append(body)
            return self.answer(json.dumps({"url": f"{hub.constants.ENDPOINT}/me/organs"}).encode())
        if "/preupload/" in self.path:
            files = [{"path": its["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for its in json.loads(body)["files"]]
            return self.answer(json.dumps({"files": files}).encode())
        if self.path == "/api/validate-yaml":  # the hub's own check of a model card
            self.server.commits.append(body)
            return self.answer(json.dumps({"errors": [], "warnings": []}).encode())
        if "/commit/" in self.path:
            self.server.commits.append(body)
            address = f"{hub.constants.ENDPOINT}/me/organs/commit/{COMMIT}"
            return self.answer(json.dumps({"commitUrl": address, "commitOid": COMMIT, "success": True}).encode())
        return self.answer(b"{}", 404)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    address = f"http://127.0.0.1:{made.server_port}"
    monkeypatch.setattr(hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                        address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it tries again and again
    monkeypatch.delenv("HF_TOKEN", raising=False)
    Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def pretrained(a_run: Any) -> Pretrained:
    return Pretrained.read(a_run("unet", "train.features=4", "volume.grid=[16, 16, 16]"))


def message(*arguments: Any, **given: Any) -> str:
    with pytest.raises(FdifError) as caught:
        fd.load_pretrained(*arguments, **given)
    return str(caught.value)


def test_weights_come_from_the_hub_and_stay(server: Server, pretrained: Pretrained, tmp_path: Path) -> None:
    done = export(pretrained, "hub", tmp_path / "out")
    server.files = {path.name: path.read_bytes() for path in done.files}
    network = fd.load_pretrained("hf://me/organs", out_channels=5)
    assert torch.equal(network.state_dict()["model.0.residual.weight"], pretrained.weights["model.0.residual.weight"])
    assert next(path for path in server.asked if "/resolve/" in path) == "/me/organs/resolve/main/config.json"
    assert fd.load_pretrained("hf://me/organs@v1", out_channels=5) and any("/resolve/v1/" in p for p in server.asked)
    server.shutdown()
    server.server_close()
    fd.load_pretrained("hf://me/organs", out_channels=5)  # found without a network


def test_what_the_hub_has_not(server: Server) -> None:
    assert message("hf://me/other") == """\
error[E0961]: the hub has no repository hf://me/other
  why: it does not exist, or only those who are logged in see it
  hint: look at its address; `hf auth login` for a private one"""
    assert message("hf://me/organs") == """\
error[E0961]: hf://me/organs holds no weights of fdif-dsl
  why: it has no config.json and model.safetensors
  hint: `fdifc export RUN --to hub` writes such a repository"""
    assert message("hf://me/a b").startswith("error[E0961]: `hf://me/a b` is no name of a repository\n")


def test_no_network(server: Server) -> None:
    server.shutdown()
    server.server_close()
    said = message("hf://me/organs")
    assert said.startswith("error[E0961]: the Hugging Face hub cannot be reached for hf://me/organs\n  why: ")
    assert said.endswith("hint: once downloaded, weights are found without a network; or copy the folder and give its "
                         "path")


def test_push(server: Server, pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FdifError) as caught:
        export(pretrained, "hub", tmp_path / "out", push="me/organs")
    assert str(caught.value) == """\
error[E0961]: nobody is logged in to the Hugging Face hub
  why: it wants to know who uploads
  hint: run `hf auth login`, or set HF_TOKEN"""
    assert server.commits == []
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(FdifError, match="the hub refuses me/organs"):
        export(pretrained, "hub", tmp_path / "out", push="me/organs")
    monkeypatch.setenv("HF_TOKEN", Server.token)
    done = export(pretrained, "hub", tmp_path / "out", push="me/organs", private=True)
    made, checked, commit = server.commits
    assert json.loads(checked)["content"].startswith("---\nlicense: apache-2.0\n")
    assert json.loads(made)["name"] == "organs" and b"private" in made
    sent = {json.loads(line)["value"].get("path") for line in commit.splitlines()} - {None}
    assert sent == {"model.safetensors", "config.json", "README.md"}
    assert done.next == 'fd.load_pretrained("hf://me/organs", out_channels=...)'
    assert 'fd.load_pretrained("hf://me/organs", out_channels=CLASSES)' in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("name", ["organs", "me/or gans", "me/a/b"])
def test_a_name_that_is_none(server: Server, pretrained: Pretrained, tmp_path: Path, name: str) -> None:
    with pytest.raises(FdifError, match=f"`{name}` is no name of a repository"):
        export(pretrained, "hub", tmp_path / "out", push=name)
    assert not (tmp_path / "out").exists() and server.asked == []
