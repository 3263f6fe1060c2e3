"""The CUDA backend against the CPU's: on a GPU, or in numba's simulator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdif_dsl as fd
from fdif_dsl.compiler.backends.cuda import CudaBackend, pipeline
from fdif_dsl.compiler.backends.cuda.backend import simulated
from fdif_dsl.compiler.backends.cuda.batch import Batch
from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.runtime.recipe import resolve
from fdif_dsl.runtime.scenes.batches import sample_batch
from fdif_dsl.runtime.scenes.render import place
from fdif_dsl.runtime.scenes.sampler import draw_objects

pytestmark = pytest.mark.gpu

NAMES = list(fd.load_library().shapes)


def family(name: str) -> str:
    """A class without the number of its corners: those with one text differ in nothing else."""
    stars = re.sub(r"(four|five|six|seven|eight|nine)_star", "n_star", name)
    return re.sub(r"triangle|square|pentagon|hexagon|heptagon|octagon|nonagon", "n_gon", stars)


FAMILIES = {family(name): name for name in reversed(NAMES)}


def recipe(**changes: Any) -> fd.Recipe:
    return fd.Recipe(**{"grid": (10, 16, 12), "objects": 3, **changes})


def assert_alike(found: Any, wanted: fd.runtime.scenes.render.Volume) -> None:  # type: ignore[name-defined]
    """Kernels differ in where they fuse a product with a sum, so a voxel on a surface may fall to the other side."""
    image, label, counts = (np.asarray(a) for a in (found.image, found.label, found.counts))
    assert (image.dtype, label.dtype, counts.dtype) == (np.uint8, wanted.label.dtype, np.int64)
    assert image.shape == wanted.image.shape and label.shape == wanted.label.shape
    assert (label != wanted.label).mean() <= 3e-4
    assert (abs(image.astype(int) - wanted.image) > 1).mean() <= 1e-3
    assert abs(counts - wanted.counts).max(initial=0) <= 2


def test_there_are_families() -> None:
    assert 20 <= len(FAMILIES) <= 40 and len(NAMES) == 109


@pytest.mark.parametrize("name", FAMILIES.values(), ids=list(FAMILIES))
def test_a_class_of_each_family(compiled: fd.Library, name: str) -> None:
    taken = recipe(shapes=[name], objects=1, displacements=[], grid=(8, 10, 16))
    scene = fd.sample_scene(compiled, 5, NAMES.index(name), taken)
    wanted = fd.render(scene, compiled)
    assert_alike(fd.render(scene, compiled, backend="cuda"), wanted)


@pytest.mark.parametrize("index", range(4))
def test_sampled_scenes(compiled: fd.Library, index: int) -> None:
    scene = fd.sample_scene(compiled, 11, index, recipe())
    wanted = fd.render(scene, compiled)
    assert wanted.counts.any()
    assert_alike(fd.render(scene, compiled, backend="cuda"), wanted)


def test_sampled_shapes(tmp_path: Path) -> None:
    """A shape of a file, at points and in a scene."""
    corners = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]], float)
    faces = "".join(f"f {a} {b} {c}\n" for a, b, c in ((1, 3, 2), (1, 2, 4), (1, 4, 3), (2, 3, 4)))
    (tmp_path / "a.obj").write_text("".join("v {} {} {}\n".format(*c) for c in corners) + faces)
    (tmp_path / "a.sdf").write_text('use mappers\nshape cone = field("a.obj", cells = 12)\n')
    library = fd.load_library(tmp_path / "a.sdf")
    points = np.random.default_rng(0).uniform(-9, 9, (50, 3))
    found, wanted = (np.asarray(library.shapes["cone"].distance(points, {"size": 9.0}, backend=backend))
                     for backend in ("cuda", "interpret"))
    assert np.abs(found - wanted).max() < 1e-4
    scene = fd.sample_scene(library, 1, 0, recipe(objects=2, displacements=[]))
    assert_alike(fd.render(scene, library, backend="cuda"), fd.render(scene, library, backend="interpret"))


def test_all_displacements_and_mappers_in_scenes(compiled: fd.Library) -> None:
    sphere = {"class": "sphere", "params": {"radius": 4.0}, "affine": np.eye(4).tolist()}
    pairs = [(d, list(compiled.mappers)[i % len(compiled.mappers)])
             for i, d in enumerate([*compiled.displacements, None])]
    for displacement, mapper in pairs:
        scene = fd.Scene.from_dict({"grid": [9, 8, 11], "objects": [
            {**sphere, "displacement": displacement, "mapper": mapper}]})
        wanted = fd.render(scene, compiled)
        assert wanted.image.any()
        assert_alike(fd.render(scene, compiled, backend="cuda"), wanted)


def scene_of(count: int, **changes: Any) -> dict[str, Any]:
    """Small spheres, of which the grid holds a part."""
    objects = []
    for k in range(count):
        affine = np.eye(4)
        affine[:3, 3] = k % 5 - 2, k % 7 - 3, k % 3 - 1
        objects.append({"class": "sphere", "params": {"radius": 1.2 + k % 4}, "affine": affine.tolist(),
                        "displacement": None, "mapper": "linear_slope_10.0", **changes})
    return {"grid": [7, 9, 8], "objects": objects}


@pytest.mark.parametrize("count", [0, 1, 32, 33, 70])
def test_any_number_of_objects(compiled: fd.Library, count: int) -> None:
    scene = fd.Scene.from_dict(scene_of(count))
    assert_alike(fd.render(scene, compiled, backend="cuda"), fd.render(scene, compiled))


def test_of_objects_that_are_equally_large_the_later_one_is_seen(compiled: fd.Library) -> None:
    text = scene_of(2)
    text["objects"][1] = {**text["objects"][0], "class": "torus", "params": {"radius": 1.2, "thickness": 0.5}}
    twice = {**text, "objects": [text["objects"][0], text["objects"][0]]}
    found = fd.render(fd.Scene.from_dict(twice), compiled, backend="cuda")
    assert np.array_equal(np.asarray(found.counts)[:1], np.asarray(found.counts)[1:])
    assert_alike(found, fd.render(fd.Scene.from_dict(twice), compiled))


def test_a_scene_may_give_what_a_sampled_one_does_not(compiled: fd.Library) -> None:
    scene = fd.sample_scene(compiled, 2, 0, recipe(shapes=["onioned_square_prism"], objects=2, displacements=[]))
    text = scene.to_dict()
    text["objects"][0]["params"]["thickness"] = 1.5
    scene = fd.Scene.from_dict(text)
    wanted = fd.render(scene, compiled)
    assert wanted.counts[0] > 0
    assert_alike(fd.render(scene, compiled, backend="cuda"), wanted)


@pytest.mark.parametrize("scale", [1e-7, 1e7])
def test_objects_of_a_size_for_which_no_bounds_hold(compiled: fd.Library, scale: float) -> None:
    text = scene_of(1, affine=(np.diag([scale] * 3 + [1])).tolist())
    text["objects"][0]["params"]["radius"] = 4.0 / scale
    scene = fd.Scene.from_dict(text)
    wanted = fd.render(scene, compiled)
    assert wanted.counts[0] > 0
    assert_alike(fd.render(scene, compiled, backend="cuda"), wanted)


def backend_of(lib: fd.Library) -> CudaBackend:
    found = lib.backend("cuda")
    assert isinstance(found, CudaBackend)
    return found


def test_volumes_of_a_batch_are_those_of_each_scene(compiled: fd.Library) -> None:
    scenes = [fd.sample_scene(compiled, 3, index, recipe(objects=(0, 3))) for index in range(5)]
    assert len({len(scene.objects) for scene in scenes}) > 1
    placed = [place(scene, compiled) for scene in scenes]
    found = backend_of(compiled).render_batch(Batch.of(placed), Grid((10, 16, 12)))
    first = 0
    for i, scene in enumerate(scenes):
        wanted = fd.render(scene, compiled)
        counts = np.asarray(found.counts)[first : first + len(scene.objects)]
        assert_alike(fd.runtime.scenes.render.Volume(found.image[i], found.label[i], counts), wanted)  # type: ignore[attr-defined]
        first += len(scene.objects)


def test_what_does_not_fit_at_once_is_drawn_in_windows(compiled: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = fd.sample_scene(compiled, 4, 1, recipe(displacements=["ridge", "sharpmax"]))
    backend = backend_of(compiled)
    whole = backend.render(place(scene, compiled), Grid(scene.grid))
    windows = []
    make_queue = backend.queue

    def small(stream: int = 0) -> Any:
        queue = make_queue(stream)
        queue.budget = 3 * 3 * 512 * 4 + 1  # of three objects three tiles each
        launch = queue.launch

        def noted(unit: Any, *arguments: Any) -> None:
            if unit.symbol.startswith("compose"):
                windows.append(arguments[0][0])
            launch(unit, *arguments)

        queue.launch = noted
        return queue

    monkeypatch.setattr(backend, "queue", small)
    monkeypatch.setattr(backend, "_grids", {})
    monkeypatch.setattr(backend._simulated, "launch", backend._simulated.launch)
    monkeypatch.setattr(backend._simulated, "budget", backend._simulated.budget)
    parts = backend.render(place(scene, compiled), Grid(scene.grid))
    assert windows == [3, 3, 2]  # of eight
    for a, b in ((whole.image, parts.image), (whole.label, parts.label), (whole.counts, parts.counts)):
        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_many_blocks_are_launched_in_portions(compiled: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_MOST_BLOCKS", 2)
    scenes = [fd.Scene.from_dict(scene_of(count)) for count in (3, 0, 1)]
    found = backend_of(compiled).render_batch(Batch.of([place(s, compiled) for s in scenes]), Grid((7, 9, 8)))
    for i, scene in enumerate(scenes):
        wanted = fd.render(scene, compiled)
        assert np.array_equal(np.asarray(found.label[i]), wanted.label)
        assert np.array_equal(np.asarray(found.image[i]), wanted.image)


def test_a_label_above_255_takes_two_bytes(compiled: fd.Library) -> None:
    scene = fd.Scene.from_dict(scene_of(1))
    (one,) = place(scene, compiled)
    object.__setattr__(one, "label", 40000)
    found = backend_of(compiled).render([one], Grid(scene.grid))
    label = np.asarray(found.label)
    assert label.dtype == np.uint16 and set(np.unique(label)) == {0, 40000}


def test_points_at_every_kind_of_formula(compiled: fd.Library, rng: np.random.Generator) -> None:
    points = rng.uniform(-20, 20, (30, 3))
    for name in compiled.displacements:
        texture = compiled.displacements[name]
        found = np.asarray(texture.offset(points, (40, 40, 40), backend="cuda"))
        np.testing.assert_allclose(found, texture.offset(points, (40, 40, 40)), rtol=1e-5, atol=1e-4)
    distances = np.array([-np.inf, -30, -1.5, -0.0, 0.0, 0.3, 7.7, 300, np.inf, np.nan])
    for name in compiled.mappers:
        mapper = compiled.mappers[name]
        found = np.asarray(mapper.intensity(distances, backend="cuda"))
        np.testing.assert_allclose(found, mapper.intensity(distances), rtol=1e-5, atol=1e-4)
    empty = compiled.shapes["sphere"].distance(np.zeros((0, 3)), {"radius": 1}, backend="cuda")
    assert np.asarray(empty).shape == (0,)


def test_the_sampler_draws_the_same_objects_for_a_batch(compiled: fd.Library) -> None:
    taken = recipe(objects=(0, 9), grid=(20, 30, 40))
    drawn = draw_objects(compiled, 2**64 - 1, [0, 5, 2**63 - 1], taken)
    assert drawn is not None
    first = 0
    for index, count in zip([0, 5, 2**63 - 1], drawn.counts, strict=True):
        scene = fd.sample_scene(compiled, 2**64 - 1, index, taken)
        assert count == len(scene.objects)
        for o, shape, affine in zip(scene.objects, drawn.shape[first:], drawn.affines[first:], strict=False):
            assert list(compiled.shapes)[shape] == o.shape and np.array_equal(affine, o.affine)
        first += count


LABELS = ["shape", "shape_mapper", "multi_task", "object", "instance"]


@pytest.mark.parametrize("label", LABELS)
def test_a_stream_on_the_device(compiled: fd.Library, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from fdif_dsl.runtime.streams import device_stream

    monkeypatch.setattr(device_stream, "_VOXELS", 2 * 8 * 8 * 9)  # two volumes at a time
    sizes = []
    render_batch = CudaBackend.render_batch

    def noted(self: CudaBackend, batch: Batch, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(batch.volumes))
        return render_batch(self, batch, *arguments, **options)

    monkeypatch.setattr(CudaBackend, "render_batch", noted)
    taken = recipe(grid=(9, 8, 8), objects=(0, 3), label=label, shapes=["sphere", "torus", "onioned_square_prism"])
    wanted = list(fd.VolumeStream(compiled, taken, seed=3, start=7, count=5))
    found = list(fd.VolumeStream(compiled, taken, seed=3, start=7, count=5, device="cuda"))
    assert len(found) == len(wanted) == 5 and sizes == [2, 2, 1]
    for a, b in zip(found, wanted, strict=True):
        assert a["image"].is_cuda is a["label"].is_cuda is not simulated()
        assert (a["image"].dtype, a["label"].dtype) == (torch.float32, torch.int64)
        assert a["image"].shape == b["image"].shape and a["label"].shape == b["label"].shape
        assert (a["label"].cpu() != b["label"]).float().mean() <= 2e-3
        assert ((a["image"].cpu() - b["image"]).abs() > 1.5 / 128).float().mean() <= 2e-3


@pytest.mark.parametrize("label", ["shape", "multi_task"])
def test_a_scanner_on_the_device(compiled: fd.Library, label: str) -> None:
    """Paint has to tell the objects apart, whatever their labels are."""
    scanner = fd.Scanner(background=0.6, paint=0.6, invert=0.5, slices=0.5, gaussian=0.5, rician=0.5, gamma=0.5)
    taken = recipe(grid=(9, 8, 8), objects=(0, 3), label=label, shapes=["sphere", "torus"], scanner=scanner)
    wanted = list(fd.VolumeStream(compiled, taken, seed=3, count=4))
    for a, b in zip(fd.VolumeStream(compiled, taken, seed=3, count=4, device="cuda"), wanted, strict=True):
        assert a["image"].shape == b["image"].shape and a["label"].shape == b["label"].shape
        assert (a["label"].cpu() != b["label"]).float().mean() <= 2e-3
        assert ((a["image"].cpu() - b["image"]).abs() > 1.5 / 128).float().mean() <= 5e-3
    scene = fd.sample_scene(compiled, 3, 1, taken)
    found = fd.scan(scene, compiled, taken, 3, 1, backend="cuda")
    assert (abs(np.asarray(found.image.cpu()).astype(int) - 128 * wanted[1]["image"][0].numpy()) > 1).mean() <= 5e-3


def test_each_process_draws_its_share(compiled: fd.Library) -> None:
    taken = recipe(grid=(8, 8, 8), shapes=["sphere"], displacements=[], objects=1)
    whole = [v["image"] for v in fd.VolumeStream(compiled, taken, count=4, device="cuda")]
    parts = [[v["image"] for v in fd.VolumeStream(compiled, taken, count=4, device="cuda", rank=r, world=2)]
             for r in range(2)]
    for i, image in enumerate(whole):
        assert bool((parts[i % 2][i // 2] == image).all())


def test_workers_of_a_loader_are_refused(compiled: fd.Library) -> None:
    from torch.utils.data import DataLoader

    stream = fd.VolumeStream(compiled, recipe(shapes=["sphere"], displacements=[]), count=2, device="cuda")
    with pytest.raises(Exception, match=r"E0906.*workers of a DataLoader"):
        next(iter(DataLoader(stream, num_workers=1)))


def test_a_class_of_which_a_drawn_count_of_parts_is_there(tmp_path: Any) -> None:
    (tmp_path / "own.sdf").write_text(
        "use mappers\n"
        "shape spots {\n  count ~ integer(0, 4)\n  centre[i < 4] ~ choice(2, 5) * unit_vec3()\n"
        "  distance = min[i < 4 when i < count](length(p - centre[i])) - 2\n}\n")
    lib = fd.load_library(tmp_path / "own.sdf")
    scene = fd.sample_scene(lib, 2, 0, recipe(objects=6))
    assert len({o.params["count"] for o in scene.objects}) > 2
    assert_alike(fd.render(scene, lib, backend="cuda"), fd.render(scene, lib, backend="interpret"))


def test_a_class_that_python_has_to_draw(tmp_path: Any) -> None:
    """A prior that scans the grid: such a recipe goes through scenes, one by one."""
    (tmp_path / "own.sdf").write_text(
        "use mappers\nuse std\n"
        "shape shell {\n  radius ~ uniform(2, 3)\n  deep = deepest(length(p) - radius)\n"
        "  thickness ~ uniform(0.2, 0.4) * abs(deep)\n  distance = abs(length(p) - radius) - thickness\n}\n")
    lib = fd.load_library(tmp_path / "own.sdf")
    taken = recipe(grid=(8, 8, 8), objects=2, scanner=fd.Scanner(paint=0.5))
    assert draw_objects(lib, 1, [0], taken) is None
    wanted = list(fd.VolumeStream(lib, taken, count=2))
    for a, b in zip(fd.VolumeStream(lib, taken, count=2, device="cuda"), wanted, strict=True):
        assert (a["label"].cpu() == b["label"]).all()


def test_rounds_and_small_functions(tmp_path: Any) -> None:
    (tmp_path / "own.sdf").write_text("""
    const flip = mat2(0, 1, 1, 0)
    shape s {
      turn ~ vec4(uniform(0, 1))
      speed ~ cbrt(uniform(-8, -1)) * tanh(uniform(1, 2))
      fold[i < 3] {
        z = p.xy then flip * z + turn.w * cbrt(z.x) + tanh(z.y * speed)
        size = 1.0 then size * 1.5
      }
      distance = length(z) - 4 / size
    }
    mapper m { intensity = 40 + 20 * sinh(tanh(d)) + fract(d) + trunc(d) }
    """)
    lib = fd.load_library(tmp_path / "own.sdf")
    taken = recipe(grid=(4, 10, 9), displacements=[])
    scene = fd.sample_scene(lib, 2, 0, taken)
    wanted = fd.render(scene, lib)
    assert wanted.counts.any()
    assert_alike(fd.render(scene, lib, backend="cuda"), wanted)
    points = np.random.default_rng(1).uniform(-9, 9, (50, 3))
    params = {"turn": [0.1, 0.2, 0.3, 0.4], "speed": -1.5}
    found = [np.asarray(lib.shapes["s"].distance(points, params, backend=b)) for b in ("cuda", "cpu")]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-4)


def test_training_on_volumes_that_are_drawn_on_the_device(compiled: fd.Library, tmp_path: Any,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.streams import device_stream
    from fdif_dsl.runtime.training.extra import mend_torchvision
    from fdif_dsl.runtime.training.pretrain import pretrain

    mend_torchvision()
    monkeypatch.setattr(device_stream, "_VOXELS", 1)  # a volume at a time
    where = "cpu" if simulated() else "gpu"
    taken = fd.Recipe.load("demo", [
        "volume.grid=[16, 16, 16]", 'classes.shapes=["sphere"]', "volume.objects=1", "train.steps=2", "train.batch=1",
        "train.features=4", "train.volumes=gpu", f"train.accelerator={where}", 'train.precision="32"',
        "monitor.volumes=1", "monitor.validate=2"])
    run = pretrain(compiled, taken, tmp_path / "run", name="demo")
    assert run is not None and run.steps == 2
    assert (tmp_path / "run" / "weights.pt").is_file()


NOISE = """
use std
shape several { distance = noise(p) + 2 * hash(p) + 4 * cells(p).x + 8 * cells(p).y }
shape stone { distance = length(p) - 4 + fbm(p / 3, 2) }
displacement rough { offset = 2 * noise(p / 3) }
mapper bright { intensity = where(d <= 0, 40 - 5 * d, 0) }
"""


def test_noise_is_that_of_the_cpu(tmp_path: Any) -> None:
    """Hashes to the bit, beyond 2^20 and on the negative side too; and a volume with noise."""
    path = tmp_path / "noise.sdf"
    path.write_text(NOISE + "shape numbers { distance = hash(p) }\n")
    lib = fd.load_library(path)
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.uniform(-9, 9, (20, 3)), rng.integers(-(2**24), 2**24, (60, 3)),
                             np.rint(2.0 ** rng.uniform(20, 120, (20, 3)))]).astype(np.float32)
    found = {name: np.asarray(lib.shapes[name].distance(points, backend="cuda")) for name in ("numbers", "several")}
    assert np.array_equal(found["numbers"], lib.shapes["numbers"].distance(points, backend="interpret"))
    np.testing.assert_allclose(found["several"], lib.shapes["several"].distance(points), rtol=0, atol=1e-5)
    scene = fd.sample_scene(lib, 3, 0, fd.Recipe(grid=(8, 9, 10), objects=2, shapes=["stone"], displacements=["rough"],
                                                 mappers=["bright"]))
    wanted = fd.render(scene, lib)
    assert wanted.counts.any()
    assert_alike(fd.render(scene, lib, backend="cuda"), wanted)
# -- displacements and mappers with numbers of an object's own, and mappers that see the point ------------


def textured(**changes: Any) -> fd.Recipe:
    return recipe(**{"shapes": ["ball", "shell"], "displacements": ["ridges", "waves", "bent_2", None],
                     "mappers": ["glow", "slope", "tissue", "lattice", "lamp"], "objects": (2, 5), **changes})


def test_textures_of_sampled_scenes(textures: fd.Library) -> None:
    """The scenes of a batch, drawn together, and one of them alone."""
    mine = textured(objects=4, grid=(8, 12, 16))
    batch = sample_batch(textures, 7, [0, 1], mine, resolve(mine, textures)).objects
    backend = textures.backend("cuda")
    assert isinstance(backend, CudaBackend)
    volumes = backend.render_batch(batch, Grid(mine.grid))
    for k in range(2):
        scene = fd.sample_scene(textures, 7, k, mine)
        wanted = fd.render(scene, textures)
        if k == 0:
            assert_alike(fd.render(scene, textures, backend="cuda"), wanted)
        assert (abs(np.asarray(volumes.image)[k].astype(int) - wanted.image) > 1).mean() <= 1e-3
        assert (np.asarray(volumes.label)[k] != wanted.label).mean() <= 3e-4


@pytest.mark.parametrize("mapper", [
    {"name": "tissue", "params": {"rim": float("nan"), "wavelength": 5.0}},
    {"name": "slope", "params": {"steep": 2.0**22}}, {"name": "glow", "params": {"top": 50.0}}])
def test_textures_that_a_scene_gives(textures: fd.Library, mapper: Any) -> None:
    """Definitions that are replaced, and numbers for which no bounds hold."""
    ball = {"class": "ball", "params": {"radius": 3.5}, "affine": np.eye(4).tolist(), "mapper": mapper}
    ridges = {"name": "ridges", "params": {"amplitude": 0.1, "frequency": 9.0, "phase": [0.0] * 3, "height": 1.5}}
    scene = fd.Scene.from_dict({"grid": [8, 9, 12], "objects": [
        {**ball, "displacement": ridges}, {**ball, "displacement": {"name": "waves", "params": {"height": 2.0}}},
        {**ball, "displacement": "waves"}]})
    assert_alike(fd.render(scene, textures, backend="cuda"), fd.render(scene, textures))


def test_textures_at_points(textures: fd.Library) -> None:
    points, distances = np.random.default_rng(1).uniform(-9, 9, (9, 3)), np.linspace(-9, 1, 9)
    given = {"rim": 2, "wavelength": 5}
    found, wanted = (np.asarray(textures.mappers["tissue"].intensity(
        distances, backend, given, points, np.diag([2, 2, 2, 1])))
                     for backend in ("cuda", "cpu"))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
    ridges = {"amplitude": 0.1, "frequency": 9.0, "phase": [0.0] * 3}
    found, wanted = (np.asarray(textures.displacements["ridges"].offset(points, (9, 9, 9), backend, ridges))
                     for backend in ("cuda", "cpu"))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not simulated(), reason="the memory of a GPU is not to be chosen")
def test_textures_window_by_window(textures: fd.Library, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = textures.backend("cuda")
    assert isinstance(backend, CudaBackend)
    monkeypatch.setattr(backend._simulated, "budget", 1)  # a tile at a time
    scene = fd.sample_scene(textures, 7, 1, textured(grid=(9, 17, 9), displacements=["ridges", "waves"]))
    assert_alike(fd.render(scene, textures, backend="cuda"), fd.render(scene, textures))
