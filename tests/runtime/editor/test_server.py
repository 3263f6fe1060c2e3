"""The server as an editor has it: started as a program, asked over its standard input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("pygls")
from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

T = TypeVar("T")

PARTS = """\
use std

## Half of it: ½ 😀 x.
fn half(x) = x / 2

## A disc, or nearly.
profile coin(size = 3) {
  ## Its radius.
  radius ~ uniform(1, 2) * size
  distance = length(q) - radius
}
"""
MAIN = """\
use solids
use parts

## A rod.
shape rod = prism(coin(4))

## Größe 😀, and a ball.
shape ball {
  fixed = 3 * 2
  r ~ uniform(0.1, 0.2) * grid.min
  distance = length(p) - half(r) - /* 😀 */ fixed
}
""".replace("/* 😀 */ ", "")


class Editor:
    """An editor with a folder, at the other end of the server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loop = folder, asyncio.new_event_loop()
        self.client = LanguageClient("test", "1")
        self.told: dict[str, list[lsp.Diagnostic]] = {}
        self.shown: list[str] = []
        self.messages: list[str] = []
        self.versions: dict[str, int] = {}
        self.news = asyncio.Event()

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def told(params: lsp.PublishDiagnosticsParams) -> None:
            self.told[Path(uris.to_fs_path(params.uri) or "").name] = list(params.diagnostics)
            self.news.set()

        @self.client.feature(lsp.WINDOW_SHOW_DOCUMENT)
        def show(params: lsp.ShowDocumentParams) -> lsp.ShowDocumentResult:
            self.shown.append(params.uri)
            return lsp.ShowDocumentResult(True)

        @self.client.feature(lsp.WINDOW_SHOW_MESSAGE)
        def message(params: lsp.ShowMessageParams) -> None:
            self.messages.append(params.message)

        @self.client.feature(lsp.CLIENT_REGISTER_CAPABILITY)
        def register(params: lsp.RegistrationParams) -> None:
            assert params.registrations[0].method == lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES

    def run(self, wanted: Awaitable[T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(wanted, 120))  # type: ignore[arg-type]

    def start(self) -> None:
        code = "from fdif_dsl.cli import main; main()"
        self.run(self.client.start_io(sys.executable, "-P", "-c", code, "lsp"))
        self.run(self.client.initialize_async(lsp.InitializeParams(
            lsp.ClientCapabilities(
                window=lsp.WindowClientCapabilities(show_document=lsp.ShowDocumentClientCapabilities(True)),
                workspace=lsp.WorkspaceClientCapabilities(
                    did_change_watched_files=lsp.DidChangeWatchedFilesClientCapabilities(True)),
                text_document=lsp.TextDocumentClientCapabilities(completion=lsp.CompletionClientCapabilities(
                    completion_item=lsp.ClientCompletionItemOptions(snippet_support=True)))),
            root_uri=uris.from_fs_path(str(self.folder)),
            workspace_folders=[lsp.WorkspaceFolder(uris.from_fs_path(str(self.folder)) or "", "x")])))
        self.client.initialized(lsp.InitializedParams())

    def stop(self) -> None:
        self.run(self.client.shutdown_async(None))
        self.client.exit(None)
        self.run(self.client.stop())
        self.loop.close()

    def uri(self, name: str) -> str:
        return uris.from_fs_path(str(self.folder / name)) or ""

    def document(self, name: str) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri(name))

    def type(self, name: str, text: str) -> None:
        """The text of a file in the editor, opened if it is not."""
        uri = self.uri(name)
        self.versions[uri] = self.versions.get(uri, 0) + 1
        if self.versions[uri] == 1:
            self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(
                lsp.TextDocumentItem(uri, "sdf", 1, text)))
        else:
            self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.versions[uri], uri),
                [lsp.TextDocumentContentChangeWholeDocument(text)]))

    def close(self, name: str) -> None:
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(self.document(name)))
        self.versions.pop(self.uri(name))

    def wait(self, name: str, fits: Callable[[list[str]], bool]) -> list[lsp.Diagnostic]:
        """The diagnostics of a file, as soon as their codes fit."""
        async def fitting() -> list[lsp.Diagnostic]:
            while not fits([str(d.code) for d in self.told.get(name, [])]):
                self.news.clear()
                await self.news.wait()
            return self.told.get(name, [])

        return self.run(fitting())


def at(text: str, words: str, into: int = 0) -> lsp.Position:
    """The place where some words stand in a text, counted as the protocol counts."""
    offset = text.index(words) + into
    line = text.count("\n", 0, offset)
    return lsp.Position(line, len(text[text.rfind("\n", 0, offset) + 1 : offset].encode("utf-16-le")) // 2)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("library")
    (folder / "parts.sdf").write_text(PARTS, "utf-8")
    (folder / "main.sdf").write_text(MAIN, "utf-8")
    editor = Editor(folder)
    editor.start()
    yield editor
    editor.stop()
    assert editor.messages == []


@pytest.fixture
def editor(started: Editor) -> Editor:
    """The editor with both files as they were."""
    started.type("parts.sdf", PARTS)
    started.type("main.sdf", MAIN)
    return started


def test_what_the_server_offers(tmp_path: Path) -> None:
    from fdif_dsl.runtime.editor.server import make_server

    assert {lsp.TEXT_DOCUMENT_HOVER, lsp.TEXT_DOCUMENT_RENAME, lsp.TEXT_DOCUMENT_CODE_LENS} <= {
        *make_server().protocol.fm.features}


def test_mistakes_while_typing(editor: Editor) -> None:
    editor.type("main.sdf", MAIN.replace("half(r)", "hlaf(r)"))
    first, = editor.wait("main.sdf", lambda codes: codes == ["E0234"])
    assert first.message == "unknown name `hlaf`: not defined\nhint: did you mean `half`?"
    line = "  distance = length(p) - hlaf(r) - fixed"
    assert (first.range.start, first.range.end) == (
        lsp.Position(10, line.index("hlaf")), lsp.Position(10, line.index("(r)")))
    assert first.severity == lsp.DiagnosticSeverity.Error and first.source == "fdifc"
    editor.type("main.sdf", MAIN)
    editor.wait("main.sdf", lambda codes: codes == [])


def test_a_mistake_in_one_file_is_told_in_the_other(editor: Editor) -> None:
    editor.type("parts.sdf", PARTS.replace("profile coin(size = 3)", "profile coin(size: profile)"))
    first, *_ = editor.wait("main.sdf", lambda codes: codes == ["E0260"])
    related = first.related_information or []
    assert [(r.location.uri, r.message) for r in related] == [(editor.uri("parts.sdf"), "declared here")]
    assert related[0].location.range.start == at(PARTS, "coin")


def test_several_mistakes_of_all_kinds_at_once(editor: Editor) -> None:
    editor.type("main.sdf", MAIN + "fn f(x) = x ** 2\nfn g(x) = nothing\nshape deep { distance = [1, 2][5] }\n")
    assert len(editor.wait("main.sdf", lambda codes: sorted(codes) == ["E0107", "E0234", "E0307"])) == 3


def test_warnings(editor: Editor) -> None:
    editor.type("main.sdf", MAIN.replace("uniform(0.1, 0.2)", "log(0 - uniform(0.1, 0.2))"))
    first, *_ = editor.wait("main.sdf", lambda codes: "E0311" in codes)
    assert first.severity == lsp.DiagnosticSeverity.Warning


def hover(editor: Editor, name: str, position: lsp.Position) -> str:
    found = editor.run(editor.client.text_document_hover_async(lsp.HoverParams(editor.document(name), position)))
    return found.contents.value if found else ""  # type: ignore[union-attr]


def test_hover(editor: Editor) -> None:
    editor.wait("main.sdf", lambda codes: codes == [])
    assert hover(editor, "main.sdf", at(MAIN, "half(r)", 2)) == (
        "```sdf\nfn half(x)  # gives float\n```\n\nHalf of it: ½ 😀 x.")
    assert hover(editor, "main.sdf", at(MAIN, "prism")).startswith("```sdf\nshape prism(section: profile)\n```")
    assert "gives" not in hover(editor, "main.sdf", at(MAIN, "length"))
    assert hover(editor, "main.sdf", lsp.Position(2, 0)) == ""
    assert hover(editor, "main.sdf", at(MAIN, "# nothing") if "# nothing" in MAIN else lsp.Position(2, 0)) == ""

    async def deep() -> str:
        while "rate: constant, value: 6" not in (text := await asked()):
            await asyncio.sleep(0.05)
        return text

    async def asked() -> str:
        found = await editor.client.text_document_hover_async(
            lsp.HoverParams(editor.document("main.sdf"), at(MAIN, "fixed")))
        return found.contents.value if found else ""  # type: ignore[union-attr]

    assert editor.run(deep()) == "```sdf\nfixed = 3 * 2  # int\n```\n\nrate: constant, value: 6"
    assert hover(editor, "main.sdf", at(MAIN, "r ~")).endswith("rate: object; drawn for each object")
    assert hover(editor, "main.sdf", at(MAIN, "distance")).endswith("rate: voxel; the result")
    # What a template's statement is shows where something uses it.
    assert hover(editor, "parts.sdf", at(PARTS, "radius ~")).endswith(
        "rate: object; drawn for each object\n\nIts radius.")


def complete(editor: Editor, text: str, where: lsp.Position) -> dict[str, lsp.CompletionItem]:
    editor.type("main.sdf", text)
    found = editor.run(editor.client.text_document_completion_async(lsp.CompletionParams(
        editor.document("main.sdf"), where)))
    assert isinstance(found, lsp.CompletionList)
    return {item.label: item for item in found.items}


def test_completion(editor: Editor) -> None:
    typed = MAIN.replace("half(r) - fixed", "ha\n  later = 1")
    found = complete(editor, typed, at(typed, "ha\n", 2))
    assert {"half", "r", "fixed", "p", "grid", "pi", "length", "prism"} <= found.keys()
    assert "later" not in found and "uniform" not in found
    half = found["half"]
    assert (half.detail, half.insert_text, half.insert_text_format) == (
        "fn half(x)", "half($0)", lsp.InsertTextFormat.Snippet)
    assert isinstance(half.documentation, lsp.MarkupContent) and half.documentation.value == "Half of it: ½ 😀 x."
    # A function of a module that is not used yet brings the line that uses it.
    edits = found["union"].additional_text_edits or []
    assert [(e.new_text, e.range.start) for e in edits] == [("use std\n", lsp.Position(2, 0))]


@pytest.mark.parametrize(("typed", "some", "none"), [
    ("use ", {"std", "solids", "parts"}, {"main", "length"}),
    ("shape a { distance = grid.", {"min", "size", "limit"}, {"x"}),
    ("shape a { distance = p.", {"x", "xy", "xyz"}, {"min"}),
    ("profile a { distance = q.", {"x", "xy"}, {"z"}),
    ("shape a {\n  r ~ ", {"uniform", "normal", "length"}, set()),
    ("shape a(b: ", {"float", "int", "profile"}, {"length"}),
    ("shape a {\n  ", {"distance", "p"}, {"shape"}),
    ("", {"shape", "use", "fn"}, {"length", "distance"}),
    ("use parts\nshape a = coin(", {"size =", "half"}, {"shape"}),
    ("# half", set(), {"half"}),
])
def test_completion_knows_the_place(editor: Editor, typed: str, some: set[str], none: set[str]) -> None:
    lines = typed.split("\n")
    found = complete(editor, typed, lsp.Position(len(lines) - 1, len(lines[-1])))
    assert some <= found.keys() and not none & found.keys()


def test_signatures(editor: Editor) -> None:
    typed = MAIN.replace("half(r)", "clamp(r, ")
    editor.type("main.sdf", typed)
    ask = editor.client.text_document_signature_help_async
    found = editor.run(ask(lsp.SignatureHelpParams(editor.document("main.sdf"), at(typed, "clamp(r, ", 9))))
    assert found is not None and found.signatures[0].label == "clamp(x, lo, hi)" and found.active_parameter == 1
    found = editor.run(ask(lsp.SignatureHelpParams(editor.document("main.sdf"), at(typed, "coin(4", 6))))
    assert found is not None and found.signatures[0].label == "profile coin(size = 3)"


def test_definition(editor: Editor) -> None:
    ask = editor.client.text_document_definition_async
    found = editor.run(ask(lsp.DefinitionParams(editor.document("main.sdf"), at(MAIN, "half(r)"))))
    assert isinstance(found, lsp.Location)
    assert (found.uri, found.range.start) == (editor.uri("parts.sdf"), at(PARTS, "half(x)"))
    found = editor.run(ask(lsp.DefinitionParams(editor.document("main.sdf"), at(MAIN, "prism"))))
    assert isinstance(found, lsp.Location) and found.uri.endswith("/solids.sdf")
    found = editor.run(ask(lsp.DefinitionParams(editor.document("main.sdf"), at(MAIN, "parts"))))
    assert isinstance(found, lsp.Location) and found.uri == editor.uri("parts.sdf")
    assert editor.run(ask(lsp.DefinitionParams(editor.document("main.sdf"), at(MAIN, "length")))) is None


def test_references_across_files(editor: Editor) -> None:
    for declared, count in ((True, 2), (False, 1)):
        found = editor.run(editor.client.text_document_references_async(lsp.ReferenceParams(
            lsp.ReferenceContext(declared), editor.document("parts.sdf"), at(PARTS, "half(x)"))))
        assert len(found or []) == count
    marks = editor.run(editor.client.text_document_document_highlight_async(lsp.DocumentHighlightParams(
        editor.document("main.sdf"), at(MAIN, "fixed"))))
    assert [m.range.start for m in marks or []] == [at(MAIN, "fixed = "), at(MAIN, "fixed\n")]


def rename(editor: Editor, name: str, where: lsp.Position, new: str) -> dict[str, str]:
    """The texts after a renaming."""
    found = editor.run(editor.client.text_document_rename_async(lsp.RenameParams(editor.document(name), where, new)))
    assert found is not None
    texts = {editor.uri("main.sdf"): MAIN, editor.uri("parts.sdf"): PARTS}
    for uri, edits in (found.changes or {}).items():
        lines = texts[uri].split("\n")
        for edit in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
            start, end = edit.range.start, edit.range.end
            line = lines[start.line].encode("utf-16-le")
            lines[start.line] = (line[: 2 * start.character] + edit.new_text.encode("utf-16-le")
                                 + line[2 * end.character :]).decode("utf-16-le")
        texts[uri] = "\n".join(lines)
    return {Path(uri).name: text for uri, text in texts.items()}


def test_rename(editor: Editor) -> None:
    assert rename(editor, "main.sdf", at(MAIN, "half(r)"), "halved") == {
        "main.sdf": MAIN.replace("half(r)", "halved(r)"), "parts.sdf": PARTS.replace("half(x)", "halved(x)")}
    assert rename(editor, "parts.sdf", at(PARTS, "size"), "width")["parts.sdf"] == PARTS.replace("size", "width")
    assert rename(editor, "main.sdf", at(MAIN, "fixed"), "six")["main.sdf"] == MAIN.replace("fixed", "six")
    assert rename(editor, "main.sdf", at(MAIN, "rod ="), "a-b")["main.sdf"] == MAIN.replace("rod =", '"a-b" =')


@pytest.mark.parametrize(("words", "new", "why"), [
    ("half(r)", "2x", "a name starts with a letter and holds letters, digits and underscores"),
    ("half(r)", "shape", "`shape` is a word of the language"),
    ("half(r)", "length", "`length` is a word of the language"),
    ("half(r)", "r", "`r` has a meaning in main.sdf already"),
    ("r ~", "fixed", "`fixed` has a meaning there already"),
    ("r ~", "x" * 65, "a name has at most 64 characters"),
    ("prism", "prisms", "`prism` belongs to the standard library"),
    ("length", "len", "`length` belongs to the language"),
    ("distance", "d", "the result of a shape is called `distance`"),
    ("\n## A rod", "d", "there is no name here"),
])
def test_what_cannot_be_renamed(editor: Editor, words: str, new: str, why: str) -> None:
    with pytest.raises(JsonRpcException) as told:
        rename(editor, "main.sdf", at(MAIN, words), new)
    assert told.value.message == why


def test_nothing_is_renamed_beside_what_cannot_be_read(editor: Editor) -> None:
    editor.type("parts.sdf", PARTS + "fn broken(")
    with pytest.raises(JsonRpcException) as told:
        editor.run(editor.client.text_document_prepare_rename_async(
            lsp.PrepareRenameParams(editor.document("main.sdf"), at(MAIN, "half(r)"))))
    assert told.value.message == (
        "parts.sdf cannot be read as a whole, and a name in it might be missed: mend it first")


def test_formatting(editor: Editor) -> None:
    ask = editor.client.text_document_formatting_async
    options = lsp.DocumentFormattingParams(editor.document("main.sdf"), lsp.FormattingOptions(2, True))
    assert not editor.run(ask(options))
    editor.type("main.sdf", MAIN.replace("fixed = 3 * 2", "   fixed=3*2"))
    edit, = editor.run(ask(options)) or []
    assert edit.new_text == MAIN
    editor.type("main.sdf", "shape {")
    assert editor.run(ask(options)) is None


def test_symbols(editor: Editor) -> None:
    found = editor.run(editor.client.text_document_document_symbol_async(
        lsp.DocumentSymbolParams(editor.document("parts.sdf")))) or []
    assert [(s.name, [c.name for c in s.children or []]) for s in found if isinstance(s, lsp.DocumentSymbol)] == [
        ("half", ["x"]), ("coin", ["size", "radius", "distance"])]
    everywhere = editor.run(editor.client.workspace_symbol_async(lsp.WorkspaceSymbolParams("COIN"))) or []
    assert [s.name for s in everywhere] == ["coin"]


def test_semantic_tokens(editor: Editor) -> None:
    found = editor.run(editor.client.text_document_semantic_tokens_full_async(
        lsp.SemanticTokensParams(editor.document("main.sdf"))))
    assert found is not None
    from fdif_dsl.runtime.editor.tokens import TYPES

    lines, line, column, seen = MAIN.split("\n"), 0, 0, []
    for i in range(0, len(found.data), 5):
        down, right, length, kind, _ = found.data[i : i + 5]
        line, column = line + down, right if down else column + right
        text = lines[line].encode("utf-16-le")[2 * column : 2 * (column + length)].decode("utf-16-le")
        seen.append((text, TYPES[kind]))
    assert seen[:9] == [
        ("use", "keyword"), ("solids", "namespace"), ("use", "keyword"), ("parts", "namespace"),
        ("## A rod.", "comment"), ("shape", "keyword"), ("rod", "class"), ("prism", "class"), ("coin", "type")]
    assert {("half", "function"), ("p", "parameter"), ("r", "variable"), ("0.1", "number"),
            ("## Größe 😀, and a ball.", "comment")} <= set(seen)


def test_code_actions(editor: Editor) -> None:
    typed = MAIN.replace("3 * 2", "3 ** 2").replace("half(r)", "hlaf(r)")
    editor.type("main.sdf", typed)
    editor.wait("main.sdf", lambda codes: sorted(codes) == ["E0107", "E0234"])
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(100, 0))
    found = editor.run(editor.client.text_document_code_action_async(lsp.CodeActionParams(
        editor.document("main.sdf"), whole, lsp.CodeActionContext([])))) or []
    actions = {a.title: a.edit.changes for a in found if isinstance(a, lsp.CodeAction) and a.edit}
    assert actions.keys() == {"Replace `**` by `^`", "Replace `hlaf` by `half`"}
    edit, = (actions["Replace `**` by `^`"] or {})[editor.uri("main.sdf")]
    assert (edit.range.start, edit.new_text) == (at(typed, "**"), "^")


def test_the_lens_shows_the_picture(editor: Editor) -> None:
    """A picture of a text that was never saved, with a part from the other file."""
    editor.type("parts.sdf", PARTS.replace("uniform(1, 2)", "uniform(4, 5)"))
    lenses = editor.run(editor.client.text_document_code_lens_async(lsp.CodeLensParams(editor.document("main.sdf"))))
    commands = [lens.command for lens in lenses or [] if lens.command]
    assert [(c.title, c.command, [*(c.arguments or ())]) for c in commands] == [
        ("show the picture", "fdif.show", [editor.uri("main.sdf"), name]) for name in ("rod", "ball")]
    found = editor.run(editor.client.workspace_execute_command_async(
        lsp.ExecuteCommandParams("fdif.show", commands[0].arguments)))
    assert Path(found).read_bytes().startswith(b"\x89PNG")
    assert [uris.to_fs_path(uri) for uri in editor.shown] == [found]
    with pytest.raises(JsonRpcException, match="the library has no class `nothing`"):
        editor.run(editor.client.workspace_execute_command_async(
            lsp.ExecuteCommandParams("fdif.show", [editor.uri("main.sdf"), "nothing"])))


def test_a_file_that_goes_and_comes(editor: Editor) -> None:
    (editor.folder / "third.sdf").write_text("use nowhere\nfn f(x) = x\n")
    watch = editor.client.workspace_did_change_watched_files
    watch(lsp.DidChangeWatchedFilesParams([lsp.FileEvent(editor.uri("third.sdf"), lsp.FileChangeType.Created)]))
    editor.wait("third.sdf", lambda codes: codes == ["E0201"])
    (editor.folder / "nowhere.sdf").write_bytes(b"\xff\xfe")
    watch(lsp.DidChangeWatchedFilesParams([lsp.FileEvent(editor.uri("nowhere.sdf"), lsp.FileChangeType.Created)]))
    editor.wait("nowhere.sdf", lambda codes: codes == ["E0103"])
    (editor.folder / "nowhere.sdf").unlink()
    (editor.folder / "third.sdf").unlink()
    editor.type("main.sdf", MAIN + "\n")  # without being told
    editor.wait("nowhere.sdf", lambda codes: codes == [])
    editor.wait("third.sdf", lambda codes: codes == [])
    assert hover(editor, "third.sdf", lsp.Position(1, 3)) == ""


@pytest.mark.parametrize("text", ["(" * 65000, "shape a {" * 7000, "\0é😀\r\u2028\ud7ff" * 10000, "fn f(x) = " * 6000,
                                  "x" * 70000])
def test_nonsense(editor: Editor, text: str) -> None:
    editor.type("main.sdf", text)
    editor.wait("main.sdf", lambda codes: any(c.startswith("E01") for c in codes))
    for where in (lsp.Position(0, 5), lsp.Position(7, 70000), lsp.Position(10**6, 0)):
        hover(editor, "main.sdf", where)
        complete(editor, text, where)
    editor.type("main.sdf", MAIN)
    editor.wait("main.sdf", lambda codes: codes == [])


def test_a_file_that_is_nowhere(editor: Editor) -> None:
    uri = "untitled:Untitled-1"
    editor.client.text_document_did_open(lsp.DidOpenTextDocumentParams(
        lsp.TextDocumentItem(uri, "sdf", 1, "use std\nfn f(x) = union(x, 1) + y\n")))
    found: Any = editor.run(editor.client.text_document_hover_async(
        lsp.HoverParams(lsp.TextDocumentIdentifier(uri), lsp.Position(1, 12))))
    assert "fn union" in found.contents.value
    editor.client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))
