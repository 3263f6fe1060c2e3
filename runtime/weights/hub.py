"""The Hugging Face hub, by `huggingface_hub`: weights from there, and to there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.training.extra import require
from fdif_dsl.runtime.training.weights_file import CONFIG, TENSORS

PREFIX = "hf://"


def download(address: str) -> Path:
    """The weights at `hf://user/name`, or of a branch, tag or commit `hf://user/name@revision`, in the hub's own cache,
    where they are found without a network from then on.

    Raises:
        FdifError: there is no such repository, it has no weights of ours, or the hub cannot be reached.
    """
    name, _, revision = address.removeprefix(PREFIX).strip("/").partition("@")
    hub = require("huggingface_hub", "hub", "the Hugging Face hub")
    with _explained(hub, address):
        hub.hf_hub_download(name, CONFIG, revision=revision or None)  # by which the hub counts downloads
        return Path(hub.hf_hub_download(name, TENSORS, revision=revision or None))


def upload(folder: Path, files: list[str], name: str, private: bool) -> str:
    """Puts files of a folder into the model repository `user/name`, which is made where there is none.

    Returns:
        Its address.

    Raises:
        FdifError: the user is not logged in or may not write there, or the hub cannot be reached.
    """
    hub = require("huggingface_hub", "hub", "the Hugging Face hub")
    with _explained(hub, name):
        api = hub.HfApi()
        api.whoami()  # says at once, and plainly, that nobody is logged in
        address = str(api.create_repo(name, private=private, exist_ok=True))
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Weights of fdif-dsl",
                          allow_patterns=files)
    return address


def check(name: str) -> None:
    """Raises `FdifError` where the hub cannot have a repository of that name, or it would have no owner."""
    hub = require("huggingface_hub", "hub", "the Hugging Face hub")
    with _explained(hub, name):
        hub.utils.validate_repo_id(name)
    if name.count("/") != 1:
        raise _said(f"`{name}` is no name of a repository", "it is a user or organisation, and a name",
                    "write it as user/name")


@contextmanager
def _explained(hub: Any, what: str) -> Iterator[None]:
    """Turns what the hub's library raises in the block into one diagnostic."""
    errors = hub.errors
    try:
        yield
    except errors.HFValidationError as error:
        raise _said(f"`{what}` is no name of a repository", str(error).splitlines()[0], "write it as hf://user/name"
                    if what.startswith(PREFIX) else "write it as user/name") from error
    except errors.LocalTokenNotFoundError as error:
        raise _said("nobody is logged in to the Hugging Face hub", "it wants to know who uploads",
                    "run `hf auth login`, or set HF_TOKEN") from error
    except errors.RepositoryNotFoundError as error:
        raise _said(f"the hub has no repository {what}", "it does not exist, or only those who are logged in see it",
                    "look at its address; `hf auth login` for a private one") from error
    except errors.RevisionNotFoundError as error:
        raise _said(f"the hub has no such revision: {what}", "", "it is a branch, a tag or a commit") from error
    except errors.LocalEntryNotFoundError as error:
        raise _unreached(what, error) from error
    except errors.EntryNotFoundError as error:
        raise _said(f"{what} holds no weights of fdif-dsl", f"it has no {CONFIG} and {TENSORS}",
                    "`fdifc export RUN --to hub` writes such a repository") from error
    except errors.HfHubHTTPError as error:
        if error.response is None or error.response.status_code >= 500:
            raise _unreached(what, error) from error
        raise _said(f"the hub refuses {what}", str(error).splitlines()[0],
                    "`hf auth whoami` says who you are; the token must be allowed to write") from error
    except OSError as error:  # the connection
        raise _unreached(what, error) from error
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
            raise
        raise _unreached(what, error) from error


def _unreached(what: str, error: BaseException) -> FdifError:
    while error.__cause__ is not None:
        error = error.__cause__
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return _said(f"the Hugging Face hub cannot be reached for {what}", why,
                 "once downloaded, weights are found without a network; or copy the folder and give its path")


def _said(title: str, why: str, hint: str) -> FdifError:
    return FdifError(Diagnostic("E0961", title, why=why, hint=hint))
