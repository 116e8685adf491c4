"""The Hugging Face hub: `owner/repo` (the files a program needs) or `owner/repo/path/to/file`.

The list of files, their sizes and checksums come from the hub through `huggingface_hub`; HF_ENDPOINT names a mirror
and HF_TOKEN a person's token, as everywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from models.errors import DownloadFailed, ModelNotFound
from models.half_file import RemoteFile

__all__ = ["SEARCH_FORMATS", "Found", "endpoint", "list_files", "search", "token"]

DEFAULT_ENDPOINT = "https://huggingface.co"
TIMEOUT_S = 20
WANTED = (".gguf", ".bin", ".onnx", ".json", ".txt", ".model", ".safetensors", ".jinja")
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
UNWANTED = ("pytorch_model", "tf_model", "flax_model", "README")


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).rstrip("/")


def token() -> str:
    return os.environ.get("HF_TOKEN", "")


def list_files(repo: str, wanted: Sequence[str] = ()) -> tuple[RemoteFile, ...]:
    """The files of `repo`, with sizes and checksums where the hub has them. Blocks: call it in a thread.

    `wanted` names files; a file of several (`x.onnx`, `x.onnx.json`) keeps its own name only. Empty: all that a
    program needs; of a GGUF in many quantisations one, Q4_K_M where there is that (as llama.cpp's -hf chooses).
    Raises ModelNotFound, DownloadFailed.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        info = _get(f"/api/models/{quote(repo)}", {"blobs": "true"})
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"the hub has no repository {repo!r}", hint="check the spelling, or set HF_TOKEN"
        ) from error
    except HfHubHTTPError as error:
        raise DownloadFailed(f"the hub refuses {repo!r}: {error}", hint="try again later") from error
    if not isinstance(info, dict):
        raise _odd()
    found = {row["rfilename"]: row for row in _rows(info.get("siblings"), "rfilename")}
    names = list(wanted) or _one_quantisation(
        [name for name in found if name.endswith(WANTED) and not name.startswith(UNWANTED)]
    )
    missing = [name for name in names if name not in found]
    if missing or not names:
        raise ModelNotFound(f"{repo} has no {missing[0] if missing else 'model files'}", hint=_some(list(found)))
    files = []
    for name in names:
        size, lfs = found[name].get("size"), found[name].get("lfs")
        checksum = lfs.get("sha256") if isinstance(lfs, dict) else None
        path = PurePosixPath(name).name if wanted else name
        url = hf_hub_url(repo, name, endpoint=endpoint())
        known = isinstance(size, int) and 0 <= size < 2**63
        files.append(RemoteFile(url, path, size if known else None, None if checksum is None else str(checksum)))
    return tuple(files)


def _one_quantisation(names: list[str]) -> list[str]:
    """Of several GGUF models one with all its parts, and one of the projectors; all other files."""
    models: dict[str, list[str]] = {}
    projectors = []
    for name in names:
        if name.endswith(".gguf"):
            if "mmproj" in PurePosixPath(name).name.lower():
                projectors.append(name)
            else:
                models.setdefault(_PART.sub("", name), []).append(name)
    if len(models) < 2:
        return names
    chosen = next((key for key in models if "q4_k_m" in key.lower()), next(iter(models)))
    kept = {*models[chosen], *projectors[:1]}
    return [name for name in names if not name.endswith(".gguf") or name in kept]


SEARCH_FORMATS = {"gguf": "gguf", "safetensors": "safetensors", "mlx": "mlx", "any": None}
"""What a search can be narrowed to, and the hub's own word for it."""


@dataclass(frozen=True, slots=True)
class Found:
    model: str
    """owner/repo."""
    downloads: int
    licence: str
    gated: bool
    """Its terms must be accepted on its page first."""


def search(query: str, form: str, limit: int) -> tuple[Found, ...]:
    """Models of the hub, the most downloaded first. Blocks: call it in a thread. Raises DownloadFailed."""
    from huggingface_hub.errors import HfHubHTTPError

    word = SEARCH_FORMATS[form]
    narrowed = {"filter": word} if word is not None else {}
    asked = {"search": query, "sort": "downloads", "limit": str(limit), **narrowed}
    try:
        models = _get("/api/models", asked)
    except HfHubHTTPError as error:
        raise DownloadFailed(f"the hub refuses the search: {error}", hint="try again later") from error
    if not isinstance(models, list):
        raise _odd()
    return tuple(
        Found(row["id"], _count(row.get("downloads")), _licence(row), bool(row.get("gated")))
        for row in _rows(models, "id")
    )


def _get(path: str, query: Mapping[str, str]) -> Any:
    """JSON of the hub's API by the library's own HTTP client, and its errors; DownloadFailed where none answers.

    Not by `HfApi`: that asks huggingface.co for more than it is asked for (so that a mirror is not enough), and tries
    for half a minute where there is no network.
    """
    from huggingface_hub import get_session
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

    headers = {"user-agent": "parley-voice", **({"authorization": f"Bearer {token()}"} if token() else {})}
    try:
        answer = get_session().get(endpoint() + path, params=dict(query), headers=headers, timeout=TIMEOUT_S)
        hf_raise_for_status(answer)
        return answer.json()
    except HfHubHTTPError:
        raise
    except Exception as error:  # the HTTP library beneath the hub's changes with its versions, and so do its errors
        raise DownloadFailed(
            "the hub does not answer",
            hint="check the network connection; to use a mirror of the hub, set HF_ENDPOINT",
        ) from error


def _rows(found: object, name: str) -> list[dict[str, Any]]:
    """The objects of a list whose `name` is a text that can be written: what a mirror sends need not be right."""
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return [row for row in rows if isinstance(row.get(name), str) and row[name].isprintable()]


def _odd() -> DownloadFailed:
    return DownloadFailed(
        "the hub's answer cannot be read", hint="check that HF_ENDPOINT is the address of a hub or a mirror"
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _licence(row: Mapping[str, Any]) -> str:
    tags = row.get("tags")
    words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return next((tag.removeprefix("license:") for tag in words if tag.startswith("license:")), "")


def _some(names: list[str]) -> str:
    return f"it has: {', '.join(names[:12])}" if names else ""
