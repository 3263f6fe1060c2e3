"""Volumes as a training loop takes them: rendered as they are asked for, or patches of a user's own images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library
    from fdif_dsl.runtime.recipe import Recipe
    from fdif_dsl.runtime.streams.images import ImageStream
    from fdif_dsl.runtime.streams.stream import VolumeStream


def open_stream(library: Library, recipe: Recipe, seed: int, device: str | None = None) -> VolumeStream | ImageStream:
    """What a recipe is trained on: the images that it names, or else its volumes. Raises `FdifError` as both do."""
    if recipe.images is not None:
        from fdif_dsl.runtime.streams.images import ImageStream

        return ImageStream(recipe, seed)
    from fdif_dsl.runtime.streams.stream import VolumeStream

    return VolumeStream(library, recipe, seed=seed, device=device)
