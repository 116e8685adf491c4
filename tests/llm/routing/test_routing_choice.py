"""Choosing who answers by default: kept, checked, and never against a setting that was changed later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm.routing.routing_choice import FILE, Kept, RoutingFile, in_force
from llm.settings import LlmSettings
from models.errors import SettingsError


def test_what_was_chosen_counts_until_the_setting_changes() -> None:
    kept = {"default_model": Kept("office", ""), "selection_strategy": Kept("least_busy", "failover")}
    standing = in_force(LlmSettings(), kept)
    assert (standing["default_model"].value, standing["default_model"].chosen) == ("office", True)
    assert standing["selection_strategy"].value == "least_busy"
    edited = in_force(LlmSettings(default_model="gpu"), kept)
    assert (edited["default_model"].value, edited["default_model"].chosen) == ("gpu", False)
    assert edited["selection_strategy"].chosen, "each setting for itself"
    same = in_force(LlmSettings(), {"default_model": Kept("", "")})
    assert not same["default_model"].chosen, "the same as the setting is no choice"
    unknown = in_force(LlmSettings(), {"selection_strategy": Kept("by_mood", "failover")})
    assert unknown["selection_strategy"].value == "failover"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"chosen": 1}', '{"chosen": {"default_model": {"value": 1, "instead_of": ""}}}']
    + ['{"chosen": {"default_model": {"colour": "red"}}}', "[" * 100_000],
)
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert RoutingFile(tmp_path).read() == {}


def test_it_is_written_whole_and_deleted_when_empty(tmp_path: Path) -> None:
    file = RoutingFile(tmp_path / "new")
    kept = {"default_model": Kept("ollama/qwen3:4b", "", "ollama")}
    file.write(kept)
    assert file.read() == kept
    assert [path.name for path in file.path.parent.iterdir()] == [FILE]
    file.write({})
    assert not file.path.exists() and file.read() == {}
    file.write({})


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be written"):
        RoutingFile(tmp_path / "file").write({"default_model": Kept("a", "")})


def test_unknown_keys_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    row = {"value": "a", "instead_of": "", "backend": ""}
    (tmp_path / FILE).write_text(json.dumps({"chosen": {"default_model": row, "mood": row}}), encoding="utf-8")
    assert set(RoutingFile(tmp_path).read()) == {"default_model"}
