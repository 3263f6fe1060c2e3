"""Programs by the dozen, from the tables that the compiler itself reads: its grammar, its functions, its draws.

    valid       each expression is made for a type, so most of them are right
    changed     a valid one with words of it left out, doubled or exchanged
    derived     whatever the grammar allows, with no thought of types
"""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files
from itertools import product

from lark import Lark

from fdif_dsl.compiler.frontend.builtins import BUILTINS, PRIORS
from fdif_dsl.grammar.parse import words
from fdif_dsl.grammar.source import SourceFile

TYPES = ("int", "float", "bool", "vec2", "vec3", "vec4", "mat2", "mat3")
MOST_ARGUMENTS = 4
_LONG = 1000  # words
NUMBERS = ("0", "1", "2", "3", "0.5", "1.5", "7.25", "1e-3", "12", "40", "1e6", "1e-9")
ODD_NUMBERS = ("1e30", "1e300", "0.0", "2147483647", "1e-300")


@cache
def calls(wanted: str) -> list[tuple[str, tuple[str, ...]]]:
    """The functions that give a type, with the types that each takes."""
    found = []
    for name, row in BUILTINS.items():
        for count in range(1, MOST_ARGUMENTS + 1):
            found += [(name, types) for types in product(TYPES, repeat=count) if row.typed(types) == wanted]
    return found


class Writer:
    """Expressions of a type, out of names that are there. `room` is about how many operations are left."""

    def __init__(self, rng: random.Random, room: int, names: dict[str, list[str]]) -> None:
        self.rng = rng
        self.room = room
        self.names = names
        self.made = 0

    def new(self, kind: str) -> str:
        self.made += 1
        return f"{kind[0]}{kind[-1]}{self.made}"

    def expression(self, kind: str, depth: int = 0) -> str:
        self.room -= 1
        if depth > 5 or self.room <= 0 or self.rng.random() < 0.15 * depth:
            return self.leaf(kind)
        ways = [self.call, self.call, self.operation, self.operation, self.choice]
        if kind in ("float", "bool"):
            ways += [self.reduction, self.component if kind == "float" else self.comparison]
        return self.rng.choice(ways)(kind, depth + 1)

    def leaf(self, kind: str) -> str:
        named = self.names.get(kind, [])
        if named and self.rng.random() < 0.7:
            return self.rng.choice(named)
        if kind == "bool":
            return self.rng.choice(["true", "false", "(1 < 2)"])
        if kind == "int":
            return self.rng.choice(["0", "1", "2", "3", "5"])
        if kind == "float":
            return self.rng.choice(ODD_NUMBERS if self.rng.random() < 0.03 else NUMBERS)
        width = int(kind[-1])
        return f"{kind}({', '.join(self.leaf('float') for _ in range(self.rng.choice([1, width])))})" if (
            kind.startswith("vec")) else f"{kind}({self.leaf('float')})"

    def call(self, kind: str, depth: int) -> str:
        there = calls(kind)
        if not there:
            return self.leaf(kind)
        # A function first, then its types: those that fit many types are not more common for it.
        name = self.rng.choice(sorted({name for name, _ in there}))
        types = self.rng.choice([types for one, types in there if one == name])
        return f"{name}({', '.join(self.expression(t, depth) for t in types)})"

    def operation(self, kind: str, depth: int) -> str:
        if kind == "bool":
            if self.rng.random() < 0.3:
                return f"(not {self.expression('bool', depth)})"
            first, second = self.expression("bool", depth), self.expression("bool", depth)
            return f"({first} {self.rng.choice(['and', 'or'])} {second})"
        if self.rng.random() < 0.15:
            return f"(-{self.expression(kind, depth)})"
        signs = {"int": ["+", "-", "*", "//"], "mat2": ["+", "-", "*"], "mat3": ["+", "-", "*"]}.get(
            kind, ["+", "-", "*", "/", "^"])
        sign = self.rng.choice(signs)
        if sign == "//":
            return f"({self.expression(kind, depth)} // {self.rng.choice('123')})"
        other = "int" if sign == "^" and self.rng.random() < 0.7 else kind
        return f"({self.expression(kind, depth)} {sign} {self.expression(other, depth)})"

    def choice(self, kind: str, depth: int) -> str:
        if kind in ("int", "bool", "mat2", "mat3"):
            return self.leaf(kind)
        ways = self.expression(kind, depth), self.expression(kind, depth)
        return f"where({self.expression('bool', depth)}, {', '.join(ways)})"

    def comparison(self, kind: str, depth: int) -> str:
        return (f"({self.expression('float', depth)} {self.rng.choice(['<', '<=', '>', '>=', '==', '!='])} "
                f"{self.expression('float', depth)})")

    def component(self, kind: str, depth: int) -> str:
        width = self.rng.choice([2, 3, 4])
        return f"({self.expression(f'vec{width}', depth)}).{self.rng.choice('xyzw'[:width])}"

    def reduction(self, kind: str, depth: int) -> str:
        word = self.rng.choice(["any", "all"] if kind == "bool" else ["min", "max", "sum"])
        index = self.new("i")
        held = self.names
        self.names = {**held, "int": [*held.get("int", []), index]}
        when = f" when {self.expression('bool', depth + 1)}" if self.rng.random() < 0.2 else ""
        inside = self.expression(kind, depth + 1)
        self.names = held
        return f"{word}[{index} < {self.rng.choice('1234')}{when}]({inside})"


def valid(rng: random.Random, room: int = 60) -> str:
    """A shape, a displacement and a mapper, and now and then a function and a constant that they may use."""
    out = []
    shared: dict[str, list[str]] = {"float": ["pi", "tau"]}
    if rng.random() < 0.4:
        out.append(f"const fixed = {Writer(rng, 8, shared).expression('float')}")
        shared["float"].append("fixed")
    given = {**shared, "float": [*shared["float"], "x"], "vec3": ["v"]}
    out.append(f"fn helper(x, v: vec3) = {Writer(rng, 12, given).expression('float')}")
    for kind, result, seen in (
            ("shape", "distance", {"vec3": ["p"], "float": ["p.x", "p.y", "p.z", "grid.min", "length(p)"]}),
            ("displacement", "offset", {"vec3": ["p", "grid.limit"], "float": ["p.x", "p.y", "p.z"]}),
            ("mapper", "intensity", {"vec3": ["p", "w"], "float": ["d", "d", "d", "p.x", "w.z"]})):
        names = {t: [*shared.get(t, []), *seen.get(t, [])] for t in TYPES}
        out.append(f"{kind} made_{kind} {{\n{body(rng, room, names, result)}\n}}")
    return "\n".join(out) + "\n"


def body(rng: random.Random, room: int, names: dict[str, list[str]], result: str) -> str:
    writer, lines = Writer(rng, room, {**names}), []
    for _ in range(rng.randrange(5)):
        kind = rng.choice(["float", "float", "vec2", "vec3", "bool", "mat2", "mat3", "int"])
        name, what = writer.new(kind), rng.random()
        if kind == "float" and what < 0.6:
            lines.append(f"{name} ~ {draw(rng)}")
        elif kind == "float" and what < 0.75:
            lines.append(f"fold[k{name} < {rng.choice('123')}] {{ {name} = {writer.leaf('float')} then "
                         f"{name} * {rng.choice(['0.5', '2', 'k' + name])} + {writer.expression('float', 2)} }}")
        elif kind == "float" and what < 0.85:
            lines.append(f"a{name}[i < 3] = i * {writer.expression('float', 2)}")
            name = f"a{name}[{rng.randrange(3)}]"
        else:
            lines.append(f"{name} = {writer.expression(kind, 1)}")
        writer.names[kind] = [*writer.names[kind], name]
    writer.room = room
    made = writer.expression("float")
    if result == "distance":  # so that many a shape has an inside and an outside
        made = rng.choice([made, f"min(length(p) - 3, {made})", f"max(length(p) - 4, {made})"])
    lines.append(f"{result} = {made}")
    if rng.random() < 0.1:
        lines[-1] = f"{result} = {made} + helper({writer.leaf('float')}, {writer.leaf('vec3')})"
    return "\n".join(f"  {line}" for line in lines)


def draw(rng: random.Random) -> str:
    """One of the language's priors that gives a number."""
    name = rng.choice([name for name in sorted(PRIORS) if not name.startswith("unit_")])
    return {"uniform": "uniform(0.5, 4)", "normal": "normal(1, 0.5)", "log_uniform": "log_uniform(0.1, 10)",
            "triangular": "triangular(1, 2, 5)", "integer": "integer(1, 5)", "choice": "choice(0.5, 2, 3)"}[name]


def changed(rng: random.Random) -> str:
    """A valid program with a few words of it changed."""
    found = [str(word) for word in words(SourceFile("made", valid(rng, 30)))]
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = rng.randrange(len(found))
        what = rng.random()
        if what < 0.1:
            del found[place]
        elif what < 0.2:
            found.insert(place, rng.choice(found))
        elif what < 0.8:  # by one that the grammar may take there
            alike = [w for w in found if w[0].isalpha() == found[place][0].isalpha()
                     and w[0].isdigit() == found[place][0].isdigit()]
            found[place] = rng.choice(alike)
        else:
            found[place] = rng.choice([*BUILTINS, *PRIORS, *NUMBERS, *ODD_NUMBERS, *"()[]{}.,=~<", "deepest", "grid"])
    return " ".join(found)


@cache
def _grammar() -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """The real grammar: by name, each way that a rule can be written, and the text of each word that is always the
    same."""
    lark = Lark(files("fdif_dsl.grammar").joinpath("sdf.lark").read_text("utf-8"), parser="lalr", start="module")
    rules: dict[str, list[list[str]]] = {}
    for rule in lark.rules:
        rules.setdefault(rule.origin.name, []).append([symbol.name for symbol in rule.expansion])
    fixed = {t.name: t.pattern.value for t in lark.terminals if type(t.pattern).__name__ == "PatternStr"}
    return rules, fixed


def derived(rng: random.Random) -> str:
    """A text that the grammar allows: a whole one, or some declarations."""
    if rng.random() < 0.2:
        return grown(rng, "module", 16)
    return " ".join(grown(rng, "decl", rng.choice([6, 16, 20, 24])) for _ in range(rng.randrange(1, 5)))


def grown(rng: random.Random, start: str, deep: int) -> str:
    """What a rule allows, down to so many rules in each other; from there on by the shortest ways."""
    rules, fixed = _grammar()
    short = _shortest()
    out: list[str] = []
    todo = [(start, 0)]
    while todo and len(out) < _LONG:
        name, depth = todo.pop()
        if name in rules:
            ways = rules[name]
            if depth > deep or (name == "docs" and rng.random() < 0.8):
                ways = [min(ways, key=lambda way: sum(short.get(s, 1) for s in way))]
            todo += [(s, depth + 1) for s in reversed(rng.choice(ways))]
        elif name in fixed:
            out.append(fixed[name])
        else:
            out.append(word(rng, name))
    return " ".join(out)


@cache
def _shortest() -> dict[str, int]:
    """How many words each rule has at least."""
    rules, _ = _grammar()
    found: dict[str, int] = {}
    for _ in rules:
        for name, ways in rules.items():
            known = [sum(found.get(s, 10**6) if s in rules else 1 for s in way) for way in ways]
            found[name] = min(known)
    return found


def word(rng: random.Random, terminal: str) -> str:
    """A text for a word that is not always the same."""
    if rng.random() < 0.002:
        return rng.choice(["1e999", "then", "_", "9" * 300, "x" * 100])
    return rng.choice({
        "NAME": [*"abcdefghijklmnopqrst", "distance", "intensity", "offset", "float", "vec3"] * (
            10 if rng.random() < 0.9 else 1) + [*BUILTINS, *PRIORS],
        "QUOTED": ['"a-b"', '"use"'], "NUMBER": [*NUMBERS, *ODD_NUMBERS, "007"],
        "DOC": ["## said\n"], "REDUCER": ["min", "sum", "any"]}.get(terminal, ["x"]))
