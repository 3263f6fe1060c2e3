"""The page in a real browser: from the first key to the file on disk."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")
import uvicorn
from playwright import sync_api

from fdif_dsl.runtime.play.app import make_app
from fdif_dsl.runtime.play.folder import Folder
from fdif_dsl.runtime.play.serve import listen

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome")
TYPED = """use std

## A pill.
shape pill {
  ## Thickness.
  thick ~ uniform(0.1, 0.2) * grid.min
  distance = length(vec3(p.x, p.y, p.z - clamp(p.z, -16, 16))) - thick
}
"""
# The least contrast of the text that is seen with what lies behind it, and the text that has it.
CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => sum + w * linear([r, g, b][i] / 255), 0);
  const behind = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  let least = [99, ""];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own.length || !one.checkVisibility({ visibilityProperty: true }) || one.closest("option, :disabled")) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, `${one.tagName}.${one.className}: ${own[0].textContent.trim().slice(0, 40)}`];
  }
  return least;
}"""


def until(there: Callable[[], object], seconds: float = 300) -> Any:
    """What is there in the end. The page's own policy forbids that a text is waited for as a program. Properties such
    as `page.url` stay as they were meanwhile, since nothing hears the browser in between."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := there():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = os.environ.get("FDIF_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=[
                "--enable-unsafe-swiftshader", *(["--no-sandbox"] if os.getuid() == 0 else [])])
        except sync_api.Error as error:
            pytest.skip(f"there is no browser: {error.message.splitlines()[0]}")
        yield found
        found.close()


class Tab:
    """A tab of the browser."""

    def __init__(self, browser: Any, address: str, width: int = 1280, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.context.set_default_timeout(120_000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type == "error" else None)
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(address)

    def painted(self, canvas: str = "solid") -> int:
        return int(self.page.evaluate(f"document.getElementById('{canvas}').dataset.painted ?? 0"))

    def picture(self, canvas: str = "solid") -> str:
        """What a canvas shows once nothing changes any more."""
        quiet = 0
        while quiet < 3:  # a movement waits for a moment before it asks for its fine picture
            time.sleep(0.1)
            there = self.page.evaluate("document.body.dataset.pictures + document.body.dataset.text") == "theretold"
            quiet = quiet + 1 if there else 0
        return str(self.page.evaluate(f"document.getElementById('{canvas}').toDataURL()"))

    def text(self) -> str:
        return "\n".join(self.page.locator(".cm-line").all_inner_texts())

    def write(self, text: str) -> None:
        """Type a text in place of what is there, as a hand does; what closes by itself is typed over."""
        self.page.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(text)

    def close(self) -> None:
        assert self.faults == []
        self.context.close()


@pytest.fixture
def tab(browser: Any, served: Any, ball: Path) -> Iterator[Tab]:
    found = Tab(browser, f"{served.address}#file=ball.sdf")
    until(lambda: found.painted() >= 2)
    yield found
    found.close()


def test_from_the_first_key_to_the_file(tab: Tab, served: Any) -> None:
    page = tab.page
    ball = tab.picture()
    page.click("#new")
    until(lambda: "untitled" in page.title())
    tab.write(TYPED)
    until(lambda: page.input_value("#subject") == "shape pill")
    pill = tab.picture()
    assert pill != ball

    # A mistake is told under the text, at its place; the picture stays, and goes on when it is mended.
    page.keyboard.press("Control+End")
    page.keyboard.type("shape b { distance = lenght(p) }")
    until(lambda: [(text[:4], "unknown name `lenght`" in text)  # all of it has been typed
                   for text in page.locator("#problems .problem").all_inner_texts()] == [("9:22", True)])
    assert page.locator(".cm-lintRange-error").count() == 1
    assert page.inner_text("#count") == "1 mistake" and tab.picture() == pill
    page.click("#problems .fix")
    until(lambda: page.inner_text("#count") == "no mistakes")
    assert "distance = length(p)" in tab.text()

    # A slider moves the picture, and what depends on it, while nothing is compiled.
    page.select_option("#subject", "shape pill")
    slider = page.get_by_role("slider", name="thick", exact=True)
    box = slider.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=6)
    page.mouse.up()
    thick = tab.picture()
    assert thick != pill and page.is_visible("#release-all")
    assert float(page.get_by_label("thick, as a number").input_value()) == pytest.approx(19.2, rel=0.03)
    page.click("#again")
    until(lambda: page.input_value("#seed") == "1")
    assert tab.picture() not in (thick, pill) and not page.is_visible("#release-all")

    # Saved under a name, it is on disk as it is in the page.
    page.keyboard.press("Escape")
    page.click("#save-other")
    page.fill("#save-name", "mine/pill")
    page.keyboard.press("Enter")
    path = served.folder / "mine" / "pill.sdf"
    until(path.exists)
    until(lambda: "is saved" in page.inner_text("#notice"))
    assert path.read_text() == TYPED + "shape b { distance = length(p) }"
    until(lambda: page.input_value("#file") == "mine/pill.sdf" and not page.title().startswith("*"))
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\n# end")
    assert page.title().startswith("*")
    page.keyboard.press("Control+s")
    until(lambda: path.read_text().endswith("\n# end"))

    # The address, which follows a moment later, shows the same again in another tab.
    address = until(lambda: "pill.sdf" in (now := page.evaluate("location.href")) and now)
    other = Tab(page.context.browser, address)
    until(lambda: other.painted() >= 2)
    assert other.page.input_value("#subject") == "shape pill" and other.page.input_value("#seed") == "1"
    assert other.picture() == tab.picture()
    other.close()


def test_the_gallery_and_a_volume(browser: Any, served: Any, ball: Path) -> None:
    tab = Tab(browser, served.address)
    page = tab.page
    until(lambda: page.locator(".tile").count() > 200)
    page.fill("#search", "torus")
    tile = until(lambda: page.locator(".tile:visible").count() < 20 and page.locator(".tile:visible").first)
    name = tile.locator(".tile-name").inner_text()
    tile.click()
    until(lambda: page.input_value("#subject") == f"shape {name.replace(' ', '_')}")
    assert page.locator(".read-only").count() == 1 and page.input_value("#file").startswith("<standard>/")
    until(lambda: tab.painted() >= 2)

    page.select_option("#file", "ball.sdf")
    until(lambda: page.input_value("#subject") == "shape ball")
    page.click("#tab-volume")
    page.select_option("#volume-side", "32")
    until(lambda: page.evaluate("document.getElementById('volume').dataset.shown") and
          page.inner_text("#volume-state").startswith("32 x 32 x 32"))
    assert page.locator("#labels li").all_inner_texts() == ["1 ball"]
    seen = tab.page.locator("#volume").screenshot()
    from io import BytesIO

    import numpy as np
    from matplotlib.image import imread

    pixels = np.asarray(imread(BytesIO(seen)))[..., :3]
    colourful = (pixels.max(axis=2) - pixels.min(axis=2)) > 0.1  # a label over grey levels
    assert colourful.mean() > 0.02 and (pixels.max(axis=2) > 0.5).mean() > 0.02
    tab.close()


def test_the_keyboard_alone_is_enough(tab: Tab) -> None:
    page = tab.page
    before = tab.picture()
    page.locator(".cm-content").focus()
    page.keyboard.press("Tab")  # it leaves the text
    assert not page.evaluate("document.activeElement.closest('.cm-editor')")
    reached = set()
    for _ in range(60):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"))
        page.keyboard.press("Tab")
    assert {"subject", "seed", "again", "grid", "displacement", "mapper", "tab-shape", "solid", "fit", "slide-x",
            "radius", "radius, as a number", "new", "show-gallery", "link", "theme", "file"} <= reached
    page.locator("#solid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    zoomed = tab.picture()
    assert zoomed != before
    page.get_by_role("slider", name="radius", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert tab.picture() != zoomed
    page.locator("#tab-shape").focus()
    page.keyboard.press("ArrowRight")
    until(lambda: page.locator(".draw").count() == 12 and tab.page.evaluate(
        "[...document.querySelectorAll('.draw canvas')].every((c) => c.dataset.painted)"))
    page.locator(".draw").nth(4).focus()
    page.keyboard.press("Enter")
    until(lambda: page.input_value("#seed") == "4")


def test_completion_and_hover(tab: Tab) -> None:
    page = tab.page
    tab.write("use std\nshape ball { distance = ")
    page.keyboard.type("leng")
    until(lambda: page.locator(".cm-tooltip-autocomplete li").count())
    assert "length" in page.inner_text(".cm-tooltip-autocomplete")
    until(lambda: page.locator(".cm-tooltip-autocomplete li[aria-selected]").count())
    time.sleep(0.3)  # which the editor waits, so that Enter typed at once is a line's end
    page.keyboard.press("Enter")
    page.keyboard.type("(")
    until(lambda: page.locator(".call").count() and page.inner_text(".call").startswith("length("))
    assert page.locator(".call b").count() == 1
    page.keyboard.type("p) - 20 }")
    until(lambda: not page.locator(".call").count())
    until(lambda: page.inner_text("#count") == "no mistakes")
    assert "length(p) - 20" in tab.text()
    page.get_by_text("length", exact=False).first.hover()
    page.click("#format")
    until(lambda: "shape ball { distance = length(p) - 20 }" in tab.text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_it_is_readable(browser: Any, served: Any, ball: Path, scheme: str, width: int) -> None:
    ball.write_text(ball.read_text() + "shape wrong { distance = nothing }\n")
    tab = Tab(browser, f"{served.address}#file=ball.sdf", width, color_scheme=scheme)
    page = tab.page
    until(lambda: page.locator("#problems li").count() and tab.painted())
    for place in ("#tab-draws", "#tab-volume", "#show-gallery"):
        ratio, what = page.evaluate(CONTRAST)
        assert ratio >= 4.5, what
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click(place)
    until(lambda: page.locator(".tile").count())
    ratio, what = page.evaluate(CONTRAST)
    assert ratio >= 4.5, what
    tab.close()


def test_what_another_program_writes(tab: Tab, ball: Path) -> None:
    page = tab.page
    ball.write_text(ball.read_text() + "# theirs\n")
    until(lambda: "# theirs" in tab.text())
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# mine")
    ball.write_text("# all new\n")
    until(lambda: "you have changes too" in page.inner_text("#notice"))
    assert "# mine" in tab.text()
    page.click("text=Keep mine")
    page.keyboard.press("Control+s")
    page.click("#save")
    until(lambda: ball.read_text().endswith("# theirs\n# mine"))


def test_a_lost_connection_loses_nothing(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text("shape a { distance = length(p) - 20 }\n")

    def start(port: int) -> tuple[int, Callable[[], None]]:
        listening = listen("127.0.0.1", port)
        server = uvicorn.Server(uvicorn.Config(
            make_app(Folder(tmp_path), "t" * 32), log_level="critical", lifespan="off", ws="websockets-sansio",
            timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join(30)
            listening.close()

        return listening.getsockname()[1], stop

    port, stop = start(0)
    tab = Tab(browser, f"http://127.0.0.1:{port}/{'t' * 32}/#file=a.sdf")
    until(lambda: tab.painted() >= 2)
    stop()
    until(lambda: re.search("connection|server", tab.page.inner_text("#notice")))
    tab.page.locator(".cm-content").click()
    tab.page.keyboard.press("Control+End")
    tab.page.keyboard.type("# typed without a server")
    painted = tab.painted()
    _, stop = start(port)
    until(lambda: tab.page.evaluate("document.body.dataset.connection") == "open")
    assert "# typed without a server" in tab.text()
    until(lambda: tab.painted() > painted)
    tab.page.click("#save")
    until(lambda: (tmp_path / "a.sdf").read_text().endswith("# typed without a server"))
    tab.faults.clear()  # the browser tells that it found no server
    tab.close()
    stop()
