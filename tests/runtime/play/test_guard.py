"""Who gets nothing: whoever lacks the token, calls this machine by another name, or comes from another page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from fdif_dsl.runtime.play.guard import Guard

ROOT = Path(__file__).parents[3]


def test_the_page_is_served_with_a_strict_policy(served: Any) -> None:
    status, body, headers = served.get(f"/{served.token}/")
    assert status == 200 and b"<title>playground" in body and b"{{" not in body
    policy = headers["content-security-policy"]
    nonce = body.partition(b'name="nonce" content="')[2].partition(b'"')[0].decode()
    assert len(nonce) > 10 and f"'nonce-{nonce}'" in policy
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"
    assert served.get(f"/{served.token}/")[2]["content-security-policy"] != policy  # a nonce is used once


@pytest.mark.parametrize("name", ["main.js", "niivue.js", "style.css", "licences.txt"])
def test_what_belongs_to_it_is_served(served: Any, name: str) -> None:
    status, body, headers = served.get(f"/{served.token}/static/{name}")
    assert status == 200 and len(body) > 1000 and headers["x-content-type-options"] == "nosniff"
    assert body == (ROOT / "runtime" / "play" / "static" / name).read_bytes()


@pytest.mark.parametrize("path", [
    "/", "/wrong/", "/a-token-for-test/", "/a-token-for-tests", "/static/main.js", "/a-token-for-testsx/static/main.js",
    "//a-token-for-tests/", "/?token=a-token-for-tests", "/a-token-for-tests%00/"])
def test_without_the_token_nothing(served: Any, path: str) -> None:
    status, body, _ = served.get(path)
    assert status == 403 and body.startswith(b"This address opens nothing.")


@pytest.mark.parametrize("path", [
    "static/__init__.py", "static/../page.py", "static/..%2fpage.py", "static/%2e%2e/page.py", "static//etc/passwd",
    "../../etc/passwd", "static/", "ball.sdf", "static/ball.sdf"])
def test_a_path_outside_gets_nothing(served: Any, ball: Path, path: str) -> None:
    status, body, _ = served.get(f"/{served.token}/{path}")
    assert status in (403, 404) and b"root:" not in body and b"shape" not in body and b"import" not in body


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.5", "", "[::2]"])
def test_another_host_gets_nothing(served: Any, host: str) -> None:
    assert served.get(f"/{served.token}/", Host=host)[0] == 403


@pytest.mark.parametrize("host", ["localhost:9999", "127.0.0.1:9999", "[::1]:80", "localhost"])
def test_a_forwarded_port_is_fine(served: Any, host: str) -> None:
    assert served.get(f"/{served.token}/", Host=host)[0] == 200
    assert served.get(f"/{served.token}/", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize("origin", [
    "http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "file://"])
def test_another_origin_gets_nothing(served: Any, origin: str) -> None:
    assert served.get(f"/{served.token}/", Origin=origin)[0] == 403
    with pytest.raises(InvalidStatus) as refused, served.connect(origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_connection_needs_a_token_and_an_origin(served: Any) -> None:
    for fields in ({"token": "wrong"}, {"token": ""}, {"origin": None}):
        with pytest.raises(InvalidStatus) as refused, served.connect(**fields):
            pass
        assert refused.value.response.status_code == 403


def test_whom_an_open_host_trusts() -> None:
    async def nothing(*_: Any) -> None: ...

    def ours(listens: str, host: str) -> bool:
        return Guard(nothing, "t", listens).trusts({"host": [host]}, needs_origin=False)

    assert ours("0.0.0.0", "10.1.2.3:8765") and ours("0.0.0.0", "localhost") and ours("node7", "node7:8765")
    assert not ours("0.0.0.0", "evil.example") and not ours("node7", "10.1.2.3") and not ours("node7", "evil.example")
    assert not Guard(nothing, "t").trusts({"host": ["localhost", "evil.example"]}, needs_origin=False)
    assert not Guard(nothing, "t").trusts({"host": ["localhost]"]}, needs_origin=False)
