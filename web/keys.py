"""The admin key, and the secret that signs the cookies of signed-in pages.

The key is 256 random bits, so a plain SHA-256 of it is all that needs to be kept: nothing can be guessed, and a slow
password hash would only slow every request. The file is readable by its owner alone, and is written whole or not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from models.errors import SettingsError
from models.secrecy import keep_secret
from models.whole_file import write_whole

__all__ = ["AdminKey", "KeyFile", "KeyRing", "fingerprint", "new_key"]


def new_key() -> str:
    """`sk-` and 256 random bits."""
    return f"sk-{secrets.token_urlsafe(32)}"


def fingerprint(key: str) -> str:
    """The SHA-256 of a key, in hex: the only form in which it is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class AdminKey:
    """What is kept of the admin key. `prefix` (its first letters) helps a person tell keys apart."""

    sha256: str
    prefix: str
    cookie_secret: bytes

    @classmethod
    def of(cls, key: str) -> AdminKey:
        """A new cookie secret comes with every key: a reset signs every page out."""
        return cls(fingerprint(key), key[:7], secrets.token_bytes(32))


@dataclass(frozen=True, slots=True)
class KeyFile:
    """`keys.json` in PARLEY_HOME. All methods block on the disk."""

    path: Path

    def read(self) -> AdminKey | None:
        """None where there is no file. Raises SettingsError where there is one that cannot be used."""
        try:
            fields = json.loads(self.path.read_text(encoding="utf-8"))["admin"]
            return AdminKey(str(fields["sha256"]), str(fields["prefix"]), bytes.fromhex(fields["cookie_secret"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(
                f"{self.path} cannot be read: {error.strerror}", hint="PARLEY_HOME must name a folder of your own"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{self.path} is not a key file any more", hint="`parley keys reset` writes a new one, with a new key"
            ) from error

    def reset(self) -> str:
        """Make a new key, keep its hash, return the key: the only time it can be seen."""
        key = new_key()
        made = AdminKey.of(key)
        fields = {"sha256": made.sha256, "prefix": made.prefix, "cookie_secret": made.cookie_secret.hex()}
        write_whole(self.path, json.dumps({"admin": fields}, indent=1) + "\n")
        return key

    def modified_ns(self) -> int:
        """When the file changed last; 0 where there is none."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return 0


class KeyRing:
    """Who may come in. Holds hashes only; never blocks. `replace` takes a reset that another process made."""

    def __init__(self, admin: AdminKey, local_key: str, override: str = "") -> None:
        """`local_key` is this process's own key for commands on the same machine (runfile.py); `override` is
        PARLEY_ADMIN_KEY and stands in place of the kept key.
        """
        keep_secret(local_key)
        keep_secret(override)
        self._local = fingerprint(local_key)
        self._override = fingerprint(override) if override else ""
        self._admin = admin

    def replace(self, admin: AdminKey) -> None:
        self._admin = admin

    def admits(self, key: str) -> bool:
        """Whether the key is the admin's. Compares hashes in constant time, every one of them."""
        given = fingerprint(key)
        wanted = self._override or self._admin.sha256
        return hmac.compare_digest(given, wanted) | hmac.compare_digest(given, self._local)

    @property
    def key_id(self) -> str:
        """Which admin key counts: another one once it is replaced. Says nothing of the key."""
        return fingerprint(self._override or self._admin.sha256)[:16]

    @property
    def cookie_secret(self) -> bytes:
        """Signs cookies. A new PARLEY_ADMIN_KEY signs pages out just as a reset does."""
        return hmac.digest(self._admin.cookie_secret, self._override.encode(), "sha256")
