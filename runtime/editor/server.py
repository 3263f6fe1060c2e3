"""The server: the protocol on one side, the project on the other.

Questions are answered at once, on the one thread that also reads what is typed; only elaboration runs beside it. Texts
come whole with each change, so that a missed one cannot leave the server with another text than the editor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from fdif_dsl.compiler.frontend.modules import Module
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.grammar.format import format_source
from fdif_dsl.runtime.editor import describe, mistakes, navigation, tokens
from fdif_dsl.runtime.editor.completion import Completion
from fdif_dsl.runtime.editor.editor import Editor
from fdif_dsl.runtime.editor.names import Occurrence

WAIT = 0.02  # seconds that typing may rest before its mistakes are looked for
_DRAW = "from fdif_dsl.cli import main; main()"


class UriEditor(Editor):
    """What the server knows, and how the editor spells its files."""

    def __init__(self) -> None:
        super().__init__(lambda path: uris.from_fs_path(str(path)) or "")

    def path(self, uri: str) -> Path:
        """The file of a URI. What is in no file yet gets a place where no file can be beside it."""
        found = uris.to_fs_path(uri) if uri.startswith("file:") else None
        path = Path(found) if found else Path("/nowhere", urlsplit(uri).path.strip("/") or "untitled")
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            path = path.resolve()
        self.uris[path] = uri
        return path


class Server(LanguageServer):
    """The language server of one editor."""

    def __init__(self) -> None:
        super().__init__("fdifc", version("fdif-dsl"), text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
        self.editor = UriEditor()
        self.shown: dict[Path, list[lsp.Diagnostic]] = {}
        self.pool = ThreadPoolExecutor(1)
        self.pictures = Path()
        self._waiting: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    def later(self) -> None:
        """Tell the mistakes when typing rests."""
        self.editor.changed()
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.get_running_loop().call_later(WAIT, self.look)

    def look(self) -> None:
        """Tell the mistakes that show at once, and go on to the others."""
        self.tell()
        if self._looking is not None:
            self._looking.cancel()
        self._looking = asyncio.get_running_loop().create_task(self.elaborate())

    def tell(self) -> None:
        """Send the mistakes of each file whose mistakes are others than before."""
        analysis = self.editor.analysis
        files = {*analysis.own, *analysis.mistakes} - {p for p, m in analysis.modules.items() if m.standard
                                                       and p not in analysis.own}
        new = {path: self.editor.diagnostics(path) for path in files}
        for path in {**self.shown, **new}:
            if new.get(path, []) != self.shown.get(path, []):
                self.text_document_publish_diagnostics(
                    lsp.PublishDiagnosticsParams(self.editor.uris[path], new.get(path, [])))
        self.shown = {path: found for path, found in new.items() if found}

    async def elaborate(self) -> None:
        """Have each declaration of own files unrolled, one after the other, until something changes."""
        editor, analysis = self.editor, self.editor.analysis
        loop = asyncio.get_running_loop()
        found = []
        closed = list(analysis.closed())
        for module, decl in closed:
            found.append(await loop.run_in_executor(
                self.pool, editor.elaboration.of, analysis.program, module, decl))
        files = {}
        for path in analysis.own:
            if not analysis.mistakes[path]:
                files[path] = await loop.run_in_executor(
                    self.pool, editor.elaboration.divided, analysis.modules[path].tree.file)
        editor.elaboration.keep({decl for _, decl in closed}, {m.tree.file for m in analysis.modules.values()})
        editor.found(found, files)
        self.tell()

    async def draw(self, path: Path, name: str) -> Path:
        """The picture of a class as its text is now.

        Raises:
            JsonRpcInvalidParams: with what the command line says, where it cannot be drawn.
        """
        if not self.pictures.name:
            self.pictures = Path(tempfile.mkdtemp(prefix="fdif-pictures-"))
        with tempfile.TemporaryDirectory(dir=self.pictures) as folder:
            # A file finds the modules that it uses beside itself: all of them as they are in the editor.
            for module in _with_uses(self.editor.analysis.modules[path]):
                if not module.standard or module.path == path:
                    Path(folder, module.path.name).write_text(module.tree.file.text, "utf-8")
            picture = self.pictures / f"{name}.png"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", _DRAW, "show", name, "--library", str(Path(folder, path.name)),
                "-o", str(picture), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE)
            try:
                _, said = await process.communicate()
            except asyncio.CancelledError:
                process.kill()
                raise
        if process.returncode:
            raise JsonRpcInvalidParams(said.decode(errors="replace").strip())
        return picture

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        if self.pictures.name:
            shutil.rmtree(self.pictures, ignore_errors=True)


def _with_uses(module: Module) -> list[Module]:
    out, stack = [module], [module]
    while stack:
        new = [used for used in stack.pop().uses if used not in out]
        out += new
        stack += new
    return out


Question = Callable[[Server, Any], Any]


def make_server() -> Server:
    """A server that is ready to be started on a pair of streams."""
    server = Server()

    def about_a_file(answer: Callable[[Server, Path, Any], Any]) -> Question:
        """A question about a file that the project has; of all others there is nothing to say."""
        @wraps(answer)
        def asked(server: Server, params: Any) -> Any:
            path = server.editor.path(params.text_document.uri)
            return answer(server, path, params) if path in server.editor.analysis.modules else None

        return asked

    for feature, answer, options in _QUESTIONS:
        server.feature(feature, options)(about_a_file(answer))
    for feature, note in _NOTES.items():
        server.feature(feature)(note)
    server.feature(lsp.WORKSPACE_SYMBOL)(_workspace_symbols)
    server.command(navigation.SHOW)(_show)
    return server


def _word(server: Server, path: Path, position: lsp.Position) -> Occurrence | None:
    editor = server.editor
    return editor.names.at(editor.analysis.modules[path], editor.lines(path).offset(position))


# -- what the editor tells


def _initialized(server: Server, params: lsp.InitializedParams) -> None:
    server.editor.project.folders = [
        Path(found) for folder in server.workspace.folders.values() if (found := uris.to_fs_path(folder.uri))]
    if not server.editor.project.folders and server.workspace.root_path:
        server.editor.project.folders = [Path(server.workspace.root_path)]
    capabilities = server.client_capabilities.workspace
    watched = capabilities and capabilities.did_change_watched_files
    if watched and watched.dynamic_registration:
        server.client_register_capability(lsp.RegistrationParams([lsp.Registration(
            "fdif-files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES,
            lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher("**/*.sdf")]))]))
    server.later()


def _opened(server: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    server.editor.project.put(server.editor.path(params.text_document.uri), params.text_document.text)
    server.later()


def _changed(server: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    if params.content_changes:
        server.editor.project.put(server.editor.path(params.text_document.uri), params.content_changes[-1].text)
    server.later()


def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    server.editor.project.put(server.editor.path(params.text_document.uri), None)
    server.later()


def _files_changed(server: Server, params: Any) -> None:
    server.editor.project.search()
    server.later()


def _folders_changed(server: Server, params: lsp.DidChangeWorkspaceFoldersParams) -> None:
    gone = {uris.to_fs_path(folder.uri) for folder in params.event.removed}
    new = [Path(found) for folder in params.event.added if (found := uris.to_fs_path(folder.uri))]
    server.editor.project.folders = [f for f in server.editor.project.folders if str(f) not in gone] + new
    _files_changed(server, params)


def _shut_down(server: Server, params: None) -> None:
    server.close()


_NOTES: dict[str, Callable[[Server, Any], None]] = {
    lsp.INITIALIZED: _initialized, lsp.TEXT_DOCUMENT_DID_OPEN: _opened, lsp.TEXT_DOCUMENT_DID_CHANGE: _changed,
    lsp.TEXT_DOCUMENT_DID_CLOSE: _closed, lsp.TEXT_DOCUMENT_DID_SAVE: _files_changed,
    lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES: _files_changed,
    lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: _folders_changed, lsp.SHUTDOWN: _shut_down,
}


# -- what it asks


def _hover(server: Server, path: Path, params: lsp.HoverParams) -> lsp.Hover | None:
    one = _word(server, path, params.position)
    if one is None:
        return None
    editor = server.editor
    text = describe.markdown(one.symbol, editor.analysis.program, editor.notes)
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text),
                     editor.lines(path).range(one.span.start, one.span.end))


def _completion(server: Server, path: Path, position: lsp.Position) -> Completion:
    editor = server.editor
    client = server.client_capabilities.text_document
    item = client and client.completion and client.completion.completion_item
    return Completion(editor.analysis, editor.names, path, editor.lines(path).offset(position),
                      bool(item and item.snippet_support), editor.known(path))


def _complete(server: Server, path: Path, params: lsp.CompletionParams) -> lsp.CompletionList:
    return lsp.CompletionList(False, _completion(server, path, params.position).items())


def _signatures(server: Server, path: Path, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
    return _completion(server, path, params.position).signatures()


def _definition(server: Server, path: Path, params: lsp.DefinitionParams) -> lsp.Location | None:
    one = _word(server, path, params.position)
    if one is None:
        return None
    editor = server.editor
    if one.symbol.kind == "module":
        used = next(path for path, module in editor.analysis.modules.items() if module is one.symbol.node)
        return lsp.Location(editor.uris[used], editor.lines(used).range(0, 0))
    place = editor.analysis.place(one.symbol.span) if one.symbol.span else None
    if place is None:
        return None
    return lsp.Location(editor.uris[place[0]], editor.lines(place[0]).range(place[1].start, place[1].end))


def _references(server: Server, path: Path, params: lsp.ReferenceParams) -> list[lsp.Location]:
    one = _word(server, path, params.position)
    editor = server.editor
    return [lsp.Location(editor.uris[where], editor.lines(where).range(span.start, span.end))
            for where, span, defines in (navigation.uses(one.symbol, editor.analysis, editor.names) if one else ())
            if not defines or params.context.include_declaration]


def _highlights(server: Server, path: Path, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
    one = _word(server, path, params.position)
    editor = server.editor
    return [lsp.DocumentHighlight(editor.lines(path).range(other.span.start, other.span.end),
                                  lsp.DocumentHighlightKind.Write if other.defines else lsp.DocumentHighlightKind.Read)
            for other in editor.names.of(editor.analysis.modules[path]) if one and other.symbol is one.symbol]


def _prepare_rename(server: Server, path: Path, params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder:
    one = _word(server, path, params.position)
    why = navigation.refusal(one.symbol if one else None, server.editor.analysis)
    if one is None or why:
        raise JsonRpcInvalidParams(why)
    return lsp.PrepareRenamePlaceholder(server.editor.lines(path).range(one.span.start, one.span.end),
                                        one.symbol.name)


def _rename(server: Server, path: Path, params: lsp.RenameParams) -> lsp.WorkspaceEdit:
    one = _word(server, path, params.position)
    editor = server.editor
    why = navigation.refusal(one.symbol if one else None, editor.analysis)
    if one is None or why:
        raise JsonRpcInvalidParams(why)
    if why := navigation.bad_name(one.symbol, params.new_name, editor.analysis, editor.names):
        raise JsonRpcInvalidParams(why)
    changes: dict[str, list[lsp.TextEdit]] = {}
    for where, span, _ in navigation.uses(one.symbol, editor.analysis, editor.names):
        changes.setdefault(editor.uris[where], []).append(
            lsp.TextEdit(editor.lines(where).range(span.start, span.end),
                         navigation.spelt(one.symbol, params.new_name)))
    return lsp.WorkspaceEdit(changes)


def _format(server: Server, path: Path, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
    text = server.editor.analysis.modules[path].tree.file.text
    try:
        new = format_source(text)
    except FdifError:
        return None  # its mistakes are told already
    return [lsp.TextEdit(server.editor.lines(path).range(0, len(text)), new)] if new != text else []


def _symbols(server: Server, path: Path, params: Any) -> list[lsp.DocumentSymbol]:
    return navigation.document_symbols(server.editor.analysis.modules[path].tree, server.editor.lines(path))


def _tokens(server: Server, path: Path, params: Any) -> lsp.SemanticTokens:
    editor = server.editor
    module = editor.analysis.modules[path]
    return tokens.tokens(module.tree.file.text, editor.lines(path), editor.names.of(module))


def _actions(server: Server, path: Path, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    editor = server.editor
    return mistakes.actions(editor.told(path), params.range, editor.analysis, editor.lines(path), editor.uris,
                            params.text_document.uri)


def _lenses(server: Server, path: Path, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
    return navigation.lenses(server.editor.analysis.modules[path].tree, server.editor.lines(path),
                             params.text_document.uri)


def _workspace_symbols(server: Server, params: lsp.WorkspaceSymbolParams) -> list[lsp.WorkspaceSymbol]:
    editor, wanted = server.editor, params.query.lower()
    return [lsp.WorkspaceSymbol(
        lsp.Location(editor.uris[path], editor.lines(path).range(decl.name_span.start, decl.name_span.end)),
        decl.name, navigation.kind_of(decl), container_name=module.name)
        for path, module in editor.analysis.modules.items() for decl in module.tree.decls
        if wanted in decl.name.lower()]


async def _show(server: Server, uri: str, name: str) -> str:
    """Draw a class and have the editor show it; gives the picture's path."""
    path = server.editor.path(uri)
    if path not in server.editor.analysis.modules:
        raise JsonRpcInvalidParams(f"there is no file {uri}")
    picture = await server.draw(path, name)
    window = server.client_capabilities.window
    place = uris.from_fs_path(str(picture)) or ""
    if window and window.show_document and window.show_document.support:
        server.window_show_document(lsp.ShowDocumentParams(place))
    else:
        server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Info, f"the picture is {picture}"))
    return str(picture)


_QUESTIONS: tuple[tuple[str, Callable[[Server, Path, Any], Any], Any], ...] = (
    (lsp.TEXT_DOCUMENT_HOVER, _hover, None),
    (lsp.TEXT_DOCUMENT_COMPLETION, _complete, lsp.CompletionOptions(trigger_characters=[".", "~", ":"])),
    (lsp.TEXT_DOCUMENT_SIGNATURE_HELP, _signatures, lsp.SignatureHelpOptions(["(", ","])),
    (lsp.TEXT_DOCUMENT_DEFINITION, _definition, None),
    (lsp.TEXT_DOCUMENT_REFERENCES, _references, None),
    (lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, _highlights, None),
    (lsp.TEXT_DOCUMENT_PREPARE_RENAME, _prepare_rename, None),
    (lsp.TEXT_DOCUMENT_RENAME, _rename, lsp.RenameOptions(prepare_provider=True)),
    (lsp.TEXT_DOCUMENT_FORMATTING, _format, None),
    (lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, _symbols, None),
    (lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, _tokens, tokens.LEGEND),
    (lsp.TEXT_DOCUMENT_CODE_ACTION, _actions, lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix])),
    (lsp.TEXT_DOCUMENT_CODE_LENS, _lenses, None),
)
