"""One page and the server: text, files, pictures, and what goes wrong with them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fdif_dsl.runtime.play.folder import STANDARD

PNG = b"\x89PNG\r\n\x1a\n"
NAN = "shape bad {\n  distance = sqrt(-1 - length(p))\n}\n"


def pixels(png: bytes) -> np.ndarray:
    from io import BytesIO

    from matplotlib.image import imread

    return np.asarray(imread(BytesIO(png)))


def test_a_look_has_all_that_the_page_shows(page: Any) -> None:
    answer = page.look(slices={"at": [0, 0, 0]}, held={"shape": {"radius": 24.0}})
    assert {"solid", "x", "y", "z"} == answer["data"].keys()
    radius, half = answer["quantities"]["shape"]
    assert radius["held"] and radius["values"] == [24.0] and half["values"] == [12.0]
    assert radius["low"] == pytest.approx([19.2]) and radius["high"] == pytest.approx([33.6])
    assert radius["doc"] == "Its radius." and radius["random"] and not half["random"]
    plane = pixels(answer["data"]["z"])
    dark = np.argwhere(plane.sum(axis=2) < 0.4)  # the zero line: a circle of a quarter of the picture's side
    away = np.hypot(*(dark - (np.array(plane.shape[:2]) - 1) / 2).T) / plane.shape[0]
    assert len(dark) > 100 and abs(away - 0.25).max() < 0.02


def test_a_larger_radius_fills_more_of_the_picture(page: Any) -> None:
    frame = page.look(held={"shape": {"radius": 30.0}})["frame"]
    filled = [np.count_nonzero(pixels(page.look(held={"shape": {"radius": r}}, frame=frame)["data"]["solid"])[..., 3])
              for r in (20.0, 25.0, 30.0)]
    assert filled[0] < filled[1] < filled[2]


def test_the_same_seed_is_the_same_picture_and_the_gallery_command_agrees(page: Any, lib: Any) -> None:
    from fdif_dsl.compiler.ir.grid import Grid
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.runtime.scenes.sampler_definition import sample_instance

    one, again, other = (page.look(seed=seed) for seed in (5, 5, 6))
    assert one["data"] == again["data"] and one["quantities"] == again["quantities"] != other["quantities"]
    formula = load_library(page.served.folder / "ball.sdf").shapes["ball"].formula
    drawn = sample_instance(formula, 5, 0, Grid((96, 96, 96)))
    assert one["quantities"]["shape"][0]["values"] == [drawn["radius"]]


def test_textures_change_it_and_have_quantities(page: Any) -> None:
    plain = page.look(slices={"at": [0, 0, 0], "grey": True})
    name = plain["choices"]["mapper"][0]
    made = page.look(displacement=plain["choices"]["displacement"][0], mapper=name,
                     slices={"at": [0, 0, 0], "grey": True})
    assert made["data"]["solid"] != plain["data"]["solid"] and made["data"]["z"] != plain["data"]["z"]
    assert {"shape", "displacement", "mapper"} == made["quantities"].keys()
    assert pixels(made["data"]["z"]).shape == (96, 96, 3)  # a pixel a voxel


def test_half_typed_text_keeps_the_rest_alive(page: Any) -> None:
    text = Path(page.served.folder / "ball.sdf").read_text()
    for cut in range(3, len(text), 9):
        told = page.type(text[:cut])
        assert isinstance(told["mistakes"], list)
    told = page.type(text + "\nshape half { distance = len")
    assert [m["code"] for m in told["mistakes"]] != [] and told["classes"][0] == {
        "name": "ball", "kind": "shape", "doc": "A ball.", "broken": False, "line": 1}
    assert page.look()["data"]["solid"].startswith(PNG)


def test_a_mistake_has_its_place_and_its_mending(page: Any) -> None:
    told = page.type("shape b {\n  distance = length(p) ** 2 - 9\n}\n")
    (mistake,) = told["mistakes"]
    assert mistake["range"]["start"]["line"] == 1 and mistake["severity"] == 1
    assert mistake["fix"]["title"] == "Replace `**` by `^`"
    assert page.look("b")["problem"] == "`b` has a mistake"


def test_64_kb_of_nonsense(page: Any) -> None:
    rng = random.Random(7)
    letters = "abc(){}[]<>=~+-*/^.,:;\"'# \n\t0123456789é😀\x00\x1b"
    for text in ("".join(rng.choice(letters) for _ in range(64_000)), "(" * 65_000, "shape " * 10_000, "a" * 70_000):
        assert page.type(text)["mistakes"]
    assert "problem" in page.look()
    page.type("shape ball { distance = length(p) - 20 }\n")
    assert page.look()["data"]["solid"].startswith(PNG)


def test_nothing_to_see_is_said(page: Any) -> None:
    page.type(NAN + "shape empty { distance = 1 + length(p) }\n")
    assert page.look("bad")["empty"] == "No surface: the distance is NaN everywhere."
    assert page.look("empty")["empty"] == "Nothing is inside: the distance is positive everywhere in the grid."
    assert page.look("nothing")["problem"] == "there is no shape `nothing`"


def test_the_newest_text_wins(page: Any) -> None:
    numbers = []
    for k in range(12):
        page.version += 1
        page.send("text", file=page.file, version=page.version,
                  text=f"shape ball {{ distance = length(p) - {k + 10} }}\n")
        numbers.append(page.send("look", kind="shape", name="ball", side=64, ranges=True, slices={"at": [0, 0, 0]}))
    last = page.until(lambda m: m.get("id") == numbers[-1] and not m.get("done"))
    assert last["frame"][3] == pytest.approx(page.look(side=64)["frame"][3]) and last["data"]
    done = {numbers[-1]}
    done |= {m["id"] for m in page.news if m["is"] == "look" and m.get("done")}
    assert done == set(numbers)  # of each it is said that no more comes


def test_completion_hover_signature_and_layout(page: Any) -> None:
    page.type("use std\nshape ball{distance=len}\n")
    items = page.ask("complete", line=1, character=23)["items"]
    (found,) = [item for item in items if item["label"] == "length"]
    assert found["detail"].startswith("length(")
    page.type("use std\nshape ball{distance=length(p)-1}\n")
    assert "length" in page.ask("hover", line=1, character=23)["hover"]["text"]
    typed = page.ask("signature", line=1, character=28)["signature"]
    assert typed["label"].startswith("length(") and (typed["active"], len(typed["parameters"])) == (0, 1)
    assert page.ask("signature", line=0, character=2)["signature"] is None
    assert page.ask("format")["text"] == "use std\nshape ball { distance = length(p) - 1 }\n"
    assert page.ask("place", line=0, character=5) | {"id": 0} == {"is": "place", "id": 0, "file": None}


def test_draws_come_one_by_one(page: Any) -> None:
    answers = page.job("draws", kind="shape", name="ball", seed=3, side=64)
    assert [a["seed"] for a in answers] == list(range(3, 15))
    assert all(a["data"]["solid"].startswith(PNG) for a in answers)
    assert len({a["data"]["solid"] for a in answers}) > 1


def test_the_gallery_has_every_class(page: Any, lib: Any) -> None:
    classes = page.ask("gallery")["classes"]
    shapes = [c["name"] for c in classes if c["file"] == STANDARD + "classes.sdf"]
    assert shapes == list(lib.shapes)
    some = next(c for c in classes if c["kind"] == "mapper")
    (thumb,) = page.job("thumb", file=some["file"], kind=some["kind"], name=some["name"])
    assert thumb["data"]["solid"].startswith(PNG)
    opened = page.open(STANDARD + "classes.sdf")
    assert not opened["own"] and f"shape {shapes[0]}" in opened["text"]
    page.version = opened["version"]
    assert [c["name"] for c in page.told()["classes"]] == shapes and page.look(shapes[0])["data"]["solid"]
    assert "read-only" in page.ask("save", file=STANDARD + "classes.sdf", text="", stamp=None)["problem"]


def test_a_volume_is_nifti_with_its_labels(page: Any) -> None:
    import nibabel

    page.type(Path(page.served.folder / "ball.sdf").read_text() + "shape cube { distance = max(abs(p)) - 9 }\n".replace(
        "max(abs(p))", "max(abs(p.x), max(abs(p.y), abs(p.z)))"))
    answer = page.job("volume", recipe="", side=32, seed=1, index=2, objects=6)[-1]
    image, label = (nibabel.Nifti1Image.from_bytes(answer["data"][name]) for name in ("image", "label"))
    voxels, labels = np.asarray(image.dataobj), np.asarray(label.dataobj)
    assert voxels.shape == labels.shape == (32, 32, 32) and voxels.max() <= 128
    assert [one["name"] for one in answer["labels"]] == ["ball", "cube"] and labels.max() == 2
    assert answer["filled"] == pytest.approx((labels > 0).mean())
    assert "no recipe" in page.job("volume", recipe="/etc/passwd", side=32)[0]["problem"]


def test_saving_and_what_another_program_does(page: Any) -> None:
    path = page.served.folder / "ball.sdf"
    opened = page.open("ball.sdf")
    page.told()
    saved = page.ask("save", file="ball.sdf", text="# mine\n", stamp=opened["stamp"])
    assert path.read_text() == "# mine\n"
    page.version = saved["version"]
    path.write_text("# theirs\n")
    news = page.until(lambda m: m["is"] == "disk")
    assert news["text"] == "# theirs\n" and not news["gone"]
    refused = page.ask("save", file="ball.sdf", text="# mine 2\n", stamp=saved["stamp"])
    assert refused["changed"] and path.read_text() == "# theirs\n"
    path.unlink()
    assert page.until(lambda m: m["is"] == "disk" and m["gone"])["file"] == "ball.sdf"
    assert page.ask("save", file="ball.sdf", text="# mine 3\n", stamp="")["saved"] and path.read_text() == "# mine 3\n"


def test_two_pages_on_one_file(page: Any, ball: Path) -> None:
    other = type(page)(page.served)
    try:
        theirs = other.open("ball.sdf")
        mine = page.open("ball.sdf")
        assert other.ask("save", file="ball.sdf", text="# other\n", stamp=theirs["stamp"])["saved"]
        assert page.until(lambda m: m["is"] == "disk")["text"] == "# other\n"
        assert page.ask("save", file="ball.sdf", text="# page\n", stamp=mine["stamp"])["changed"]
        assert ball.read_text() == "# other\n"
    finally:
        other.close()


@pytest.mark.parametrize("name", ["../secret.sdf", "/etc/passwd", "notes.txt", "", None, 7, ["ball.sdf"]])
def test_other_files_are_not_opened(page: Any, name: object) -> None:
    assert "problem" in page.ask("open", file=name) and "problem" in page.ask("save", file=name, text="x", stamp=None)


def test_a_module_outside_of_the_folder_is_none(page: Any, tmp_path: Path) -> None:
    (tmp_path / "outside.sdf").write_text("fn outside() = 4\n")
    link = page.served.folder / "outside.sdf"
    link.symlink_to(tmp_path / "outside.sdf")
    try:
        told = page.type("use outside\nshape b { distance = length(p) - outside() }\n")
        assert "there is no module `outside`" in told["mistakes"][0]["message"]
    finally:
        link.unlink()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"do": "nothing"}', '{"do": "look"}', '{"do": []}',
                                  '{"do": "text"}', '{"do": "save", "file": "x.sdf"}'])
def test_what_is_no_message_is_answered(page: Any, text: str) -> None:
    page.socket.send(text)
    assert "problem" in page.until(lambda m: "problem" in m)
    assert page.look()["data"]["solid"]


@pytest.mark.parametrize("fields", [
    {"side": "large"}, {"seed": None}, {"grid": [1e9, 8, "x"]}, {"held": {"shape": {"radius": "; import os"}}},
    {"camera": {"zoom": float("nan")}}, {"frame": ["a", 0, 0, 1]}, {"slices": {"at": [None, 0, 0]}}])
def test_only_numbers_are_numbers(page: Any, fields: dict[str, Any]) -> None:
    assert "problem" in page.look(**fields)
    assert page.look()["data"]["solid"]


def test_a_process_that_dies_is_told_and_replaced(page: Any) -> None:
    import multiprocessing

    page.look()
    page.type(f"shape ball {{ distance = length(p) - {random.random() + 20} }}\n")
    number = page.send("look", kind="shape", name="ball", side=512, fine=True, ranges=True)
    for child in multiprocessing.active_children():
        if child.name == "fdif-studio":
            child.kill()
    answer = page.until(lambda m: m.get("id") == number)
    assert "ended" in answer["problem"] or "data" in answer
    assert page.look()["data"]["solid"].startswith(PNG)
