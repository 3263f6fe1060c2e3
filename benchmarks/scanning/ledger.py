"""What has been found so far, in a JSON file, so that an interrupted benchmark goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_dsl.compiler.support.files import write_text


class Ledger:
    """Results by name, written whole after each. `settings` is what they were found with.

    Raises:
        FileExistsError: the file holds results of other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        wanted = json.loads(json.dumps(settings))  # as it comes back from the file
        self._all: dict[str, Any] = {"settings": wanted, "results": {}}
        if path.exists():
            self._all = json.loads(path.read_text(encoding="utf-8"))
            there = self._all["settings"]
            if there != wanted:
                other = ", ".join(key for key in {**there, **wanted} if there.get(key) != wanted.get(key))
                raise FileExistsError(f"{path} holds results of other settings ({other}): name another folder")

    def __contains__(self, name: str) -> bool:
        return name in self._all["results"]

    def __getitem__(self, name: str) -> Any:
        return self._all["results"][name]

    @property
    def results(self) -> Mapping[str, Any]:
        return dict(self._all["results"])

    def add(self, name: str, result: Any) -> None:
        self._all["results"][name] = json.loads(json.dumps(result))  # as it comes back from the file
        write_text(self.path, json.dumps(self._all, indent=1) + "\n")
