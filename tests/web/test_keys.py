from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from models.errors import SettingsError
from web.keys import AdminKey, KeyFile, KeyRing, new_key


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "home" / "keys.json")
    assert file.read() is None
    key = file.reset()
    kept = file.path.read_text(encoding="utf-8")
    assert key.startswith("sk-") and len(key) > 40
    assert key not in kept and key[8:] not in kept
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(file.path.parent.iterdir()) == [file.path]
    admin = file.read()
    assert admin is not None and admin.prefix == key[:7]
    assert KeyRing(admin, local_key=new_key()).admits(key)


def test_only_the_key_and_the_local_key_are_admitted() -> None:
    ring = KeyRing(AdminKey.of("sk-right"), local_key="sk-local")
    assert ring.admits("sk-right") and ring.admits("sk-local")
    for wrong in ("", "sk-righ", "sk-right ", "SK-RIGHT", "sk-\ud800", "ключ"):
        assert not ring.admits(wrong)


def test_the_environments_key_stands_in_place_of_the_kept_one() -> None:
    ring = KeyRing(AdminKey.of("sk-kept"), local_key="sk-local", override="sk-from-env")
    assert ring.admits("sk-from-env") and not ring.admits("sk-kept")


def test_a_reset_takes_key_and_cookies_out_of_use() -> None:
    ring = KeyRing(AdminKey.of("sk-old"), local_key="sk-local")
    secret = ring.cookie_secret
    ring.replace(AdminKey.of("sk-new"))
    assert ring.admits("sk-new") and not ring.admits("sk-old")
    assert ring.cookie_secret != secret


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"admin": 1}', '{"admin": {"sha256": "x"}}', "\xff\xfe"])
def test_a_broken_key_file_is_named(tmp_path: Path, text: str) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="keys.json") as caught:
        file.read()
    assert "parley keys reset" in caught.value.hint
    file.reset()
    assert json.loads(file.path.read_text(encoding="utf-8"))["admin"]
