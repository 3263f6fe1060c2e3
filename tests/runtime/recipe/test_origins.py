"""What cards say of the files that shapes were sampled from."""

from __future__ import annotations

from fdif_dsl.runtime.recipe.origins import origins_text

ORIGIN = {"file": "kits23/a|b.nii.gz", "dataset": "KiTS", "licence": "CC-BY 4.0", "sha256": "ab" * 32}


def test_every_file_with_its_data_set_licence_and_checksum() -> None:
    text = origins_text([ORIGIN, {**ORIGIN, "file": "c.stl", "dataset": "", "licence": ""}], ["BTCV", "AMOS"])
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == [f"| kits23/a/b.nii.gz | KiTS | CC-BY 4.0 | `{'ab' * 32}` |",
                        f"| c.stl | not said | not said | `{'ab' * 32}` |"]
    assert "Kept out, with all that was sampled from them: BTCV, AMOS." in text


def test_formulas_alone_need_no_section() -> None:
    assert origins_text([], []) == ""
