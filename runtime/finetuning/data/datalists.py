"""Opening a data set: which of the formats it has."""

from __future__ import annotations

from pathlib import Path

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError, did_you_mean
from fdif_dsl.runtime.finetuning.data.cases import DataList, read_json
from fdif_dsl.runtime.finetuning.data.decathlon import read_decathlon
from fdif_dsl.runtime.finetuning.data.nnunet import read_nnunet

FORMATS = "a MONAI data list (a .json file), a raw data set of nnU-Net (its folder), or MedMNIST (a .npz file)"
_LISTS = ("dataset.json", "datalist.json")


def read_list(path: Path, renumber: bool = False) -> DataList:
    """The data set at a path: a MONAI data list, or a folder with one or with nnU-Net's dataset.json. To `renumber`
    allows for gaps among its labels.

    Raises:
        FdifError: nothing is there, it is neither, or its list cannot be used.
    """
    if not path.exists():
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FdifError(Diagnostic("E0907", f"there is no data set {path}",
                                   hint=did_you_mean(path.name, beside) or f"give {FORMATS}"))
    file = path
    if path.is_dir():
        found = [path / name for name in _LISTS if (path / name).is_file()]
        if not found:
            lists = sorted(p.name for p in path.glob("*.json"))
            raise FdifError(Diagnostic(
                "E0907", f"{path} is no data set that can be read", why=f"it has no {' and no '.join(_LISTS)}",
                hint=f"name the list itself, for example {path / lists[0]}" if lists else f"give {FORMATS}"))
        file = found[0]
    elif path.suffix != ".json":
        raise FdifError(Diagnostic("E0907", f"{path} is no data set that can be read", hint=f"give {FORMATS}"))
    table = read_json(file, f"give {FORMATS}")
    if not isinstance(table, dict):
        raise FdifError(Diagnostic("E0908", "the list of the data set is no JSON object", where=str(file),
                                   hint='it begins with { and has keys such as "training" or "channel_names"'))
    # The Decathlon's own list is called dataset.json too; nnU-Net's names no files.
    return (read_decathlon if "training" in table else read_nnunet)(file, table, renumber)
