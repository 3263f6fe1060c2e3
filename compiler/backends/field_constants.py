"""Fields in generated text: each is a constant of the module, the function of a sample and a point that the words of
the target make of what is known of it."""

from __future__ import annotations

import re

from fdif_dsl.compiler.ir.fields import Facts, baked

_NAME = re.compile(r"\bFIELD_([0-9A-F]+)\b")


def field_name(key: str) -> str:
    """How the function of a field is called."""
    return f"FIELD_{key.upper()}"


def fields_in(source: str) -> list[str]:
    """The keys of the fields that a text reads."""
    return [key.lower() for key in dict.fromkeys(_NAME.findall(source))]


def field_constants(*used_in: str) -> list[str]:
    """The definitions of the fields that statements read; they use the word `field`."""
    return [_definition(key) for key in fields_in("\n".join(used_in))]


def _definition(key: str) -> str:
    facts = Facts.of(baked(key))
    return f'{field_name(key)} = field("{key}", {facts.samples}, {facts.sides}, {facts.cell!r}, {facts.bits})'
