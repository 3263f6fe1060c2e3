"""The Python API in one go: sample, render, store, differentiate, stream.

    python examples/sample_and_render.py [FOLDER]

Each cell (`# %%`) stands alone enough to be pasted into a notebook. FOLDER, by default the working
directory, gets `scene.json` and `slices.png`.
"""

# %% A library: 109 classes of solids, textures and grey-level maps
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

import fdif_dsl as fd

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
lib = fd.load_library()  # or the path of a .sdf file, of a folder of them, or of a compiled library
print(lib)
torus = lib.shapes["torus"]
print(f"{torus.name}, label {torus.id}: {torus.doc}")
for quantity in torus.parameters:
    print(f"  {quantity.name} ~ {quantity.prior}: {quantity.doc}")

# %% A scene: every number of a volume, drawn from a recipe. (seed, index) always gives the same one.
recipe = fd.Recipe(grid=(64, 64, 64), objects=(4, 8))  # what is left out has the paper's value
scene = fd.sample_scene(lib, seed=7, index=0, recipe=recipe)
print(f"{len(scene.objects)} objects: {', '.join(o.shape for o in scene.objects)}")

# %% It is a value, and JSON on disk
scene.to_json(folder / "scene.json")
assert fd.Scene.from_json(folder / "scene.json") == scene

# %% Rendered: grey levels 0 to 128, and for each voxel the id of its object's class (0 is background)
volume = fd.render(scene, lib)
names = [*lib.shapes]
for label in np.unique(volume.label)[1:]:
    print(f"  {np.count_nonzero(volume.label == label):6d} voxels of {names[label - 1]}")

# %% A look at the middle planes
middle = recipe.grid[0] // 2
figure = Figure(figsize=(8, 4), layout="constrained")
left, right = figure.subplots(1, 2)
left.imshow(volume.image[middle], cmap="gray", origin="lower")
right.imshow(volume.label[middle], cmap="nipy_spectral", origin="lower", interpolation="nearest")
left.set_title("image")
right.set_title("label")
figure.savefig(folder / "slices.png", dpi=120)

# %% Distances at points of your own; every named quantity can be given
points = np.array([[20.0, 0.0, 0.0], [0.0, 0.0, 0.0], [15.0, 0.0, 3.0]])  # x, y, z in voxels
print("distances:", torus.distance(points, {"major": 15.0, "minor": 4.0}))

# %% Differentiable: how the distance changes with a parameter
minor = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
major = torch.tensor(15.0, dtype=torch.float64, requires_grad=True)
given = {"major": major, "minor": minor}
distance = torus.distance(torch.from_numpy(points), given, backend="torch")
distance.sum().backward()
print(f"d(sum of distances) / d(minor) = {minor.grad:.3f}, / d(major) = {major.grad:.3f}")

# %% So a solid can be fitted: which torus passes through these points?
angle = torch.linspace(0, 6.28, 60, dtype=torch.float64)
tube = torch.linspace(0, 62.8, 60, dtype=torch.float64)
reach = 18 + 5 * torch.cos(tube)
cloud = torch.stack([reach * torch.cos(angle), 5 * torch.sin(tube), reach * torch.sin(angle)], dim=1)
optimiser = torch.optim.Adam([major, minor], lr=0.3)
for _ in range(150):
    optimiser.zero_grad()
    loss = torus.distance(cloud, given, backend="torch").square().mean()
    loss.backward()
    optimiser.step()
print(f"fitted: major {major.item():.2f}, minor {minor.item():.2f}, made with 18 and 5")

# %% An endless stream for a training loop; no volume is ever stored
stream = fd.VolumeStream(lib, recipe=recipe, seed=7)
batch = next(iter(DataLoader(stream, batch_size=2)))
print({name: (tuple(tensor.shape), tensor.dtype) for name, tensor in batch.items()})
