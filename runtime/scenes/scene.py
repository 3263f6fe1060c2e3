"""A scene: the objects of a volume with all their numbers. A value, and JSON on disk.

    {"grid": [D, H, W], "objects": [{"class", "params", "affine", "displacement", "mapper"}, ...]}

A displacement and a mapper are a name, or, with values of quantities, {"name", "params"}.
Keys that are not known are passed over, so that other programs can keep notes of their own in a scene.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.ir.parameters import kind_of
from fdif_dsl.compiler.support.files import write_text
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, Label
from fdif_dsl.grammar.source import SourceFile, Span
from fdif_dsl.runtime.settings import checks

BYTES = 64 * 2**20
"""The largest scene file that is read."""

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class SceneObject:
    """One object: a class, its parameters by name, where it lies, and how it is roughened and shaded.

    `affine` maps object to world coordinates, in voxels (4 x 4, rows first). `displacement_params` and `mapper_params`
    are the parameters of a displacement and a mapper that have some.
    """

    shape: str
    params: Mapping[str, Any]
    affine: Matrix
    displacement: str | None
    mapper: str
    displacement_params: Mapping[str, Any] = field(default_factory=dict)
    mapper_params: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "class": self.shape,
            "params": _plain(self.params),
            "affine": [[float(v) for v in row] for row in self.affine],
            "displacement": _texture(self.displacement, self.displacement_params),
            "mapper": _texture(self.mapper, self.mapper_params),
        }


@dataclass(frozen=True)
class Scene:
    """A grid (D, H, W) and the objects on it. `where` is what messages call the scene."""

    grid: tuple[int, int, int]
    objects: tuple[SceneObject, ...]
    where: str = field(default="scene", repr=False, compare=False)

    @classmethod
    def from_dict(cls, data: Any, where: str = "scene") -> Scene:
        """The scene of a JSON form. Raises `FdifError` with one diagnostic for each mistake.

        Whether a library has the classes, and the classes these parameters, is checked when the scene is rendered.
        """
        return _Reader(where).scene(data)

    @classmethod
    def from_json(cls, path: str | Path) -> Scene:
        """The scene in a file. Raises `FdifError` as `from_dict` does, and where the file is no JSON."""
        return cls.from_dict(_load(Path(path)), str(path))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, made of fresh lists and dictionaries."""
        return {"grid": list(self.grid), "objects": [o.to_dict() for o in self.objects]}

    def to_json(self, path: str | Path) -> None:
        """Writes the scene to a file, whole or not at all; the same scene always gives the same text."""
        write_text(Path(path), self.to_text())

    def to_text(self) -> str:
        """The JSON text: a line for each field of an object. Numbers are written so that they read back the same."""
        objects = []
        for o in self.objects:
            lines = (f"      {json.dumps(key)}: {json.dumps(value)}" for key, value in o.to_dict().items())
            objects.append("    {\n" + ",\n".join(lines) + "\n    }")
        inner = "[\n" + ",\n".join(objects) + "\n  ]" if objects else "[]"
        return f'{{\n  "grid": {json.dumps(list(self.grid))},\n  "objects": {inner}\n}}\n'


class _Reader:
    """Reads a JSON form and notes every mistake in it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.mistakes: list[Diagnostic] = []

    def scene(self, data: Any) -> Scene:
        grid = objects = None
        if not isinstance(data, Mapping):
            self.wrong("", checks.Wrong(f"{kind_of(data)} where a scene is expected", hint=_SCENE))
        else:
            grid = self.get(data, "", "grid", checks.sides)
            objects = self.get(data, "", "objects", _list)
        read = [self.object(o, f"objects[{i}]") for i, o in enumerate(objects or ())]
        if self.mistakes:
            raise FdifError(*self.mistakes)
        assert grid is not None
        return Scene(grid, tuple(o for o in read if o), self.where)

    def object(self, data: Any, place: str) -> SceneObject | None:
        if not isinstance(data, Mapping):
            self.wrong(place, checks.Wrong(f"{kind_of(data)} where an object is expected", hint=_OBJECT))
            return None
        shape = self.get(data, place, "class", checks.text)
        params = self.get(data, place, "params", _table)
        affine = self.get(data, place, "affine", checks.affine)
        displacement, displacement_params = self.texture(data, place, "displacement")
        mapper, mapper_params = self.texture(data, place, "mapper")
        if shape is None or params is None or affine is None or mapper is None:
            return None
        return SceneObject(shape, params, tuple(tuple(row) for row in affine.tolist()), displacement, mapper,
                           displacement_params, mapper_params)

    def texture(self, data: Mapping[str, Any], place: str, key: str) -> tuple[str | None, Mapping[str, Any]]:
        """The name and the parameters of a displacement or mapper; no name where it is null, or after a mistake."""
        value, inside = data.get(key), f"{place}.{key}"
        if not isinstance(value, Mapping):
            none = checks.text if key == "mapper" else lambda v: v if v is None else checks.text(v)
            return self.get(data, place, key, none), {}
        return (self.get(value, inside, "name", checks.text, _TEXTURE),
                self.get(value, inside, "params", _table, _TEXTURE) or {})

    def get(self, data: Mapping[str, Any], place: str, key: str, rule: Callable[[Any], Any], hint: str = "") -> Any:
        inside = f"{place}.{key}" if place else key
        if key not in data:
            self.wrong(place, checks.Wrong(f"`{key}` is missing", hint=hint or (_OBJECT if place else _SCENE)))
            return None
        try:
            return rule(data[key])
        except checks.Wrong as wrong:
            self.wrong(inside, wrong)
            return None

    def wrong(self, place: str, wrong: checks.Wrong) -> None:
        self.mistakes.append(at_field(self.where, place, wrong))


def at_field(where: str, place: str, wrong: checks.Wrong) -> Diagnostic:
    """The diagnostic for a field of a scene."""
    return Diagnostic("E0903", wrong.title, where=f"{where}: {place}" if place else where, why=wrong.why,
                      hint=wrong.hint)


_SCENE = 'a scene is {"grid": [D, H, W], "objects": [...]}'
_OBJECT = 'an object is {"class": ..., "params": {...}, "affine": ..., "displacement": ... or null, "mapper": ...}'

_TEXTURE = 'write its name, or with parameters {"name": ..., "params": {...}}'


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise checks.Wrong(f"{kind_of(value)} where a list is expected", hint="write it in square brackets")
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise checks.Wrong(f"{kind_of(value)} where a table of names and values is expected",
                           hint='write it like {"radius": 10.0}')
    return value


def _texture(name: str | None, params: Mapping[str, Any]) -> Any:
    """A displacement or mapper as JSON has it."""
    return {"name": name, "params": _plain(params)} if params else name


def _plain(value: Any) -> Any:
    """Parameters as JSON has them: arrays and tensors become lists."""
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _load(path: Path) -> Any:
    """The JSON value in a file."""
    try:
        size = path.stat().st_size
        if size > BYTES:
            raise FdifError(Diagnostic("E0901", "the scene file is too large", where=str(path),
                                       why=f"it has {size} bytes, and at most {BYTES} are read",
                                       hint="split it into several scenes"))
        source = SourceFile(str(path), path.read_text(encoding="utf-8"))
        return json.loads(source.text)
    except OSError as error:
        why = error.strerror or str(error)
        raise FdifError(Diagnostic("E0901", "cannot read the scene", where=str(path), why=why,
                                   hint="check the path and its permissions")) from None
    except json.JSONDecodeError as error:
        label = Label(Span(source, error.pos, error.pos + 1))
        raise FdifError(Diagnostic("E0902", "the scene is not JSON", (label,), why=error.msg, hint=_SCENE)) from None
    except UnicodeDecodeError:
        raise FdifError(Diagnostic("E0902", "the scene is not UTF-8 text", where=str(path),
                                   hint="save it as UTF-8; is it a scene at all?")) from None
    except ValueError:
        raise FdifError(Diagnostic("E0902", "the scene holds a number of too many digits", where=str(path),
                                   hint="17 digits are all that a number holds")) from None
    except RecursionError:
        raise FdifError(Diagnostic("E0902", "the scene is nested too deeply", where=str(path), hint=_SCENE)) from None
