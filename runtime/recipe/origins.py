"""What cards say of the files that shapes were sampled from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def origins_text(origins: Sequence[Mapping[str, str]], keep_out: Sequence[str]) -> str:
    """A section in Markdown: the files with their data sets, licences and checksums, and what was kept out. Empty where
    no shape was sampled and nothing was kept out."""
    parts = []
    if origins:
        parts += ["Some shapes were sampled from these files:\n", "| file | data set | licence | sha256 |",
                  "| --- | --- | --- | --- |"]
        parts += [f"| {_cell(o['file'])} | {_cell(o['dataset'] or 'not said')} | {_cell(o['licence'] or 'not said')} | "
                  f"`{o['sha256']}` |" for o in origins]
        parts.append("")
    if keep_out:
        parts.append(f"Kept out, with all that was sampled from them: {', '.join(keep_out)}.\n")
    return "\n".join(["## Where shapes come from\n", *parts, ""]) if parts else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
