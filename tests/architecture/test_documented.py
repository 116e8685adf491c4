"""docs/configuration.md knows every setting, with its real default, and every environment name."""

from __future__ import annotations

import dataclasses
import importlib
import re

import pytest

from tests.architecture.source_tree import ROOT, modules

PAGE = ROOT / "docs" / "configuration.md"
# TOML section -> the dataclass behind it.
SECTIONS = {
    "voice": "voice.settings.VoiceSettings",
    "voice.stt": "voice.settings.SpeechServiceSettings",
    "voice.tts": "voice.settings.SpeechServiceSettings",
    "voice.llm": "voice.settings.VoiceLlmSettings",
    "voice.turn": "voice.settings.TurnSettings",
    "voice.vad": "voice.settings.VadSettings",
    "voice.wake": "voice.settings.WakeSettings",
    "llm": "llm.settings.LlmSettings",
    "[backends]": "llm.port.BackendConfig",
    "": "web.settings.Settings",
}
_ROW = re.compile(r"^\| `(?P<key>[\w.]+)` \| (?P<default>.*?) \|")


def _documented() -> dict[str, dict[str, str]]:
    """{section: {key: default as written}} of the tables under `## [section]` headings."""
    found: dict[str, dict[str, str]] = {}
    section = None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = re.search(r"`\[(.*)\]`", line)
            section = heading[1] if heading else "" if "top of the file" in line.lower() else None
        elif section is not None and (row := _ROW.match(line)):
            found.setdefault(section, {})[row["key"]] = row["default"].strip("`")
    return found


def _fields(dotted: str) -> dict[str, object]:
    """{key: default} of a settings dataclass; sections of their own and computed fields are left out."""
    module, name = dotted.rsplit(".", 1)
    cls = getattr(importlib.import_module(module), name)
    found: dict[str, object] = {}
    for field in dataclasses.fields(cls):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if dataclasses.is_dataclass(default) or field.name in ("backends", "voice", "llm"):
            continue
        found[field.name] = default
    return found


def _written(value: object) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(value)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_documented_with_its_default(section: str) -> None:
    documented = _documented().get(section, {})
    settings = _fields(SECTIONS[section])
    assert settings
    assert sorted(set(settings) - set(documented)) == [], "settings without a row"
    assert sorted(set(documented) - set(settings)) == [], "rows of settings that do not exist"
    for key, value in settings.items():
        if documented[key].startswith("("):  # "(your home)": a default that depends on the machine, in words
            continue
        assert documented[key] == _written(value), key


def test_every_environment_name_is_documented() -> None:
    name = re.compile(r"\bPARLEY_[A-Z][A-Z_]*[A-Z]\b")
    used = {found for path in modules() for found in name.findall(path.read_text(encoding="utf-8"))}
    assert "PARLEY_HOME" in used
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(found for found in used if f"`{found}`" not in page) == []
