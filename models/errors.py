"""The root of every error that Parley raises on purpose, and the errors of this layer.

ParleyError                 code, hint, retryable
|- BadInput                 the caller sent something that cannot be used
|- ModelError
|  |- ModelNotFound         no such file or name in the store
|  |- ModelUnreadable       the file is there and is not what it says
|  |- DownloadFailed         the source does not answer, refuses or breaks off (retryable)
|  |- DownloadRefused        an address we do not connect to, or a path outside the store
|  |- ChecksumWrong          what came is not what the source says it is (retryable)
|  |- DiskFull               there is no room for it
|- SettingsError            parley.toml or the environment is wrong
|- PartBroken               the file of an engine, a backend, a command, ... cannot be loaded
"""

from __future__ import annotations

from typing import ClassVar

from models.secrecy import hidden

__all__ = [
    "BadInput",
    "ChecksumWrong",
    "DiskFull",
    "DownloadFailed",
    "DownloadRefused",
    "ModelError",
    "ModelNotFound",
    "ModelUnreadable",
    "ParleyError",
    "PartBroken",
    "SettingsError",
]


class ParleyError(Exception):
    """An expected failure.

    `code` is stable and machine-readable, `hint` says what to do next, `retryable` says whether the same
    call may succeed later. `param` names the offending field where there is one. `web/errors.py` maps codes
    to HTTP status, OpenAI error objects and WebSocket close codes in one table. Keys and passwords that the texts
    hold are cut out here, whoever wrote them (models/secrecy.py).
    """

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, param: str | None = None) -> None:
        message = hidden(message)
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hidden(hint)
        self.param = param

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class BadInput(ParleyError):
    """Malformed, out of range or unknown: a 400 at the edge."""

    code = "invalid_request"


class SettingsError(ParleyError):
    """The configuration cannot be used; the hint names the key and the nearest valid one."""

    code = "invalid_settings"
    default_hint = "docs/configuration.md lists every setting with its default"


class PartBroken(ParleyError):
    """A file that discovery found, or a package's entry point, fails when it is imported."""

    code = "part_broken"
    default_hint = "correct or remove that file; `make install` installs missing libraries"


class ModelError(ParleyError):
    code = "model_error"


class ModelNotFound(ModelError):
    code = "model_not_found"
    default_hint = "`parley doctor` lists the models that are installed"


class ModelUnreadable(ModelError):
    code = "model_unreadable"
    default_hint = "download or copy it again; `parley doctor` lists the model files that cannot be used"


class DownloadFailed(ModelError):
    code = "download_failed"
    retryable = True


class DownloadRefused(ModelError):
    code = "download_refused"
    default_hint = "download it yourself and put it into the models folder, or give its path"


class ChecksumWrong(ModelError):
    code = "checksum_wrong"
    retryable = True


class DiskFull(ModelError):
    code = "disk_full"
