"""What a person writes for a model, as files to fetch: a name of the catalogue, `owner/repo`, `owner/repo/file` or an
address. Who fetches, and where to, is models/download.py's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from models import catalog
from models.download import RemoteFile
from models.errors import BadInput
from models.secrecy import keep_secret
from models.sources import huggingface

__all__ = ["Wanted", "name_of", "want"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`name` is the model's folder in the store. `headers` (a token) are for the source's own host only."""

    name: str
    files: tuple[RemoteFile, ...]
    trusted_hosts: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def name_of(asked: str) -> str:
    """The name it will have in the store; asks nobody. Raises BadInput, ModelNotFound."""
    if "://" in asked:
        return _file_of(asked).stem
    if "/" not in asked:
        return catalog.find(asked).name
    _, repo, *rest = _parts(asked)
    return PurePosixPath(rest[-1]).stem if rest else repo


def want(asked: str) -> Wanted:
    """Asks the hub for the list of files, sizes and checksums. Blocks: call it in a thread.

    Raises BadInput, ModelNotFound, DownloadFailed.
    """
    host = urlsplit(huggingface.endpoint()).hostname or ""
    token = huggingface.token()
    keep_secret(token)
    hub = frozenset({host}), ({"Authorization": f"Bearer {token}"} if token else {})
    name = name_of(asked)
    if "://" in asked:
        files = (RemoteFile(asked, _file_of(asked).name),)
        return Wanted(name, files, *hub) if urlsplit(asked).hostname == host else Wanted(name, files)
    if "/" not in asked:
        entry = catalog.find(asked)
        return Wanted(name, huggingface.list_files(entry.repo, entry.files), *hub)
    owner, repo, *rest = _parts(asked)
    return Wanted(name, huggingface.list_files(f"{owner}/{repo}", ("/".join(rest),) if rest else ()), *hub)


def _file_of(address: str) -> PurePosixPath:
    file = PurePosixPath(unquote(urlsplit(address).path))
    if not file.name:
        raise BadInput(f"{address[:200]!r} names no file", hint="the address must end with the file's name")
    return PurePosixPath(file.name)


def _parts(asked: str) -> list[str]:
    parts = asked.split("/")
    if len(parts) < 2 or not all(parts) or ".." in parts or any(part.startswith(".") for part in parts):
        raise BadInput(f"{asked[:200]!r} is no model of the hub", hint="write owner/repo or owner/repo/path/to/file")
    return parts
