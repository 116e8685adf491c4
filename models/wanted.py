"""What a person writes for a model, as files to fetch: a name of the catalogue, `owner/repo`, `owner/repo/file` or an
address, which may end with its checksum (`#sha256=...`, as pip has it). Who fetches, and where to, is
models/download.py's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from models import catalog
from models.errors import BadInput
from models.half_file import RemoteFile
from models.secrecy import keep_secret
from models.sources import huggingface

__all__ = ["Wanted", "name_of", "want"]

MOST_PARTS = 999


@dataclass(frozen=True, slots=True)
class Wanted:
    """`name` is the model's folder in the store; `otherwise` where that is taken by one from elsewhere. `headers` (a
    token) are for the source's own host only."""

    name: str
    otherwise: str
    files: tuple[RemoteFile, ...]
    trusted_hosts: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def name_of(asked: str) -> str:
    """The name it will have in the store; asks nobody. Raises BadInput, ModelNotFound."""
    if "://" in asked:
        return _file_of(_without_checksum(asked)[0]).stem
    if "/" not in asked:
        return catalog.find(asked).name
    _, repo, *rest = _parts(asked)
    return PurePosixPath(rest[-1]).stem if rest else repo


def want(asked: str, trusted_hosts: Collection[str] = ()) -> Wanted:
    """Asks the hub for the list of files, sizes and checksums. Blocks: call it in a thread. Addresses of
    `trusted_hosts` may be private and unencrypted.

    Raises BadInput, ModelNotFound, DownloadFailed.
    """
    host = urlsplit(huggingface.endpoint()).hostname or ""
    token = huggingface.token()
    keep_secret(token)
    hub = frozenset({host}), ({"Authorization": f"Bearer {token}"} if token else {})
    name = name_of(asked)
    if "://" in asked:
        address, checksum = _without_checksum(asked)
        there = urlsplit(address).hostname or ""
        last = _file_of(address).name
        parts = _all_parts(last)
        if checksum is not None and len(parts) > 1:
            raise BadInput("a checksum is that of one file, and this model has several parts", param="sha256")
        files = tuple(RemoteFile(address.replace(quote(last), quote(part)), part, None, checksum) for part in parts)
        otherwise = f"{there.lstrip('.')}--{name}"
        if there == host:
            return Wanted(name, otherwise, files, *hub)
        return Wanted(name, otherwise, files, frozenset(trusted_hosts))
    if "/" not in asked:
        entry = catalog.find(asked)
        otherwise = f"{entry.repo.partition('/')[0]}--{name}"
        return Wanted(name, otherwise, huggingface.list_files(entry.repo, entry.files), *hub)
    owner, repo, *rest = _parts(asked)
    wanted = _all_parts("/".join(rest)) if rest else ()
    return Wanted(name, f"{owner}--{name}", huggingface.list_files(f"{owner}/{repo}", wanted), *hub)


def _without_checksum(address: str) -> tuple[str, str | None]:
    """Raises BadInput for one that cannot be."""
    address, _, mark = address.partition("#")
    if not mark.startswith("sha256="):
        return address, None
    checksum = mark.removeprefix("sha256=").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", checksum):
        raise BadInput("sha256 is 64 hexadecimal digits", param="sha256")
    return address, checksum


def _all_parts(file: str) -> tuple[str, ...]:
    """A GGUF that was cut into parts is of use only whole: `x-00002-of-00003.gguf` stands for all three."""
    found = re.fullmatch(r"(.*-)\d{5}-of-(\d{5})\.gguf", file)
    if found is None or not 1 <= int(found[2]) <= MOST_PARTS:
        return (file,)
    return tuple(f"{found[1]}{number:05d}-of-{found[2]}.gguf" for number in range(1, int(found[2]) + 1))


def _file_of(address: str) -> PurePosixPath:
    try:
        file = PurePosixPath(unquote(urlsplit(address).path))
    except ValueError:
        raise BadInput(f"{address[:200]!r} is not an address", hint="give an https:// URL of a file") from None
    if not file.name:
        raise BadInput(f"{address[:200]!r} names no file", hint="the address must end with the file's name")
    return PurePosixPath(file.name)


def _parts(asked: str) -> list[str]:
    parts = asked.split("/")
    if len(parts) < 2 or not all(parts) or ".." in parts or any(part.startswith(".") for part in parts):
        raise BadInput(
            f"{asked[:200]!r} is not a model of the hub", hint="write owner/repo or owner/repo/path/to/file"
        )
    return parts
