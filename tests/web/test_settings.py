from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import SettingsError
from web.settings import ENVIRONMENT, Given, Settings, load, unknown_environment


def _load(tmp_path: Path, text: str, given: Given | None = None, **env: str) -> Settings:
    path = tmp_path / "parley.toml"
    path.write_text(text, encoding="utf-8")
    return load(given or Given(), {"PARLEY_HOME": str(tmp_path / "home"), "PARLEY_CONFIG": str(path), **env})


def test_defaults_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(Given(), {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")})
    assert settings.home == tmp_path / "data" / "parley"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 4000)
    assert settings.config_path is None and settings.admin_key == ""


def test_the_file_of_the_folder_then_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "parley.toml").write_text("[server]\nport = 5001\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load(Given(), {"PARLEY_HOME": str(home)}).server.port == 5001
    (tmp_path / "parley.toml").write_text("[server]\nport = 5002\n", encoding="utf-8")
    assert load(Given(), {"PARLEY_HOME": str(home)}).server.port == 5002


def test_every_table_reaches_its_package(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        """
        [server]
        allowed_hosts = ["parley.lan"]
        [models]
        directories = ["/srv/models"]
        [llm]
        default_model = "parley-mini"
        [llm.engine]
        parallel = 4
        flash_attention = true
        [voice.stt]
        engine = "openai"
        base_url = "http://127.0.0.1:8901/v1"
        [voice.turn]
        silence_ms = 700
        max_turn_s = 30
        [voice.vad]
        threshold = 0.6
        [voice.wake]
        refractory_ms = 900
        [voice.llm]
        model = "scripted/any"
        """,
    )
    assert settings.server.allowed_hosts == ("parley.lan",)
    assert settings.models.directories == ("/srv/models",)
    assert settings.llm.engine.parallel == 4 and settings.llm.engine.flash_attention is True
    assert settings.llm.default_model == "parley-mini"
    assert settings.voice.stt.base_url.endswith(":8901/v1") and settings.voice.tts.engine == "auto"
    assert settings.voice.turn.silence_ms == 700 and settings.voice.turn.max_turn_s == 30.0
    assert settings.voice.vad.threshold == 0.6 and settings.voice.wake.refractory_ms == 900
    assert settings.voice.llm.model == "scripted/any"


def test_command_line_over_environment_over_file(tmp_path: Path) -> None:
    text = '[server]\nport = 5001\nhost = "127.0.0.2"\nlog_level = "error"\n'
    assert _load(tmp_path, text).server.port == 5001
    settings = _load(tmp_path, text, PARLEY_PORT="5002", PARLEY_LOG_LEVEL="DEBUG", PARLEY_SLOT_PORT_BASE="6000")
    assert (settings.server.port, settings.server.host, settings.server.log_level) == (5002, "127.0.0.2", "debug")
    assert settings.llm.slot_port_base == 6000
    assert _load(tmp_path, text, Given(port=5003, host="::1"), PARLEY_PORT="5002").server.port == 5003


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[voice.turn]\nsilence_mss = 5", "voice.turn.silence_mss", "silence_ms"),
        ("[voice.tunr]\nsilence_ms = 500", "voice.tunr", "voice.turn"),
        ("[sever]\nport = 1", r"\[sever\]", "server"),
        ("[llm]\nbackends = []", "llm.backends", ""),
        ("[llm.engine]\nthread = 2", "llm.engine.thread", "threads"),
        ('[voice.turn]\nsilence_ms = "500"', "whole number", ""),
        ("[voice.turn]\nsilence_ms = true", "whole number", ""),
        ("[voice.turn]\nspeculate = 1", "true or false", ""),
        ("[voice.vad]\nthreshold = 1.5", "voice.vad.threshold", "between 0 and 1"),
        ("[voice.turn]\npause_ms = 900", "voice.turn.pause_ms", "silence_ms"),
        ('[llm.engine]\nkv_cache_type = "f17"', "kv_cache_type", "f16"),
        ('[server]\nallowed_hosts = "x"', "a list", ""),
        ("[server]\nport = 70000", "port", ""),
        ("[voice]\nstt = 3", "voice.stt", ""),
        ('[voice.stt]\nengine = "openai"', "base_url is missing", ""),
        ('[voice.tts]\nengine = "opnai"', "opnai", "openai"),
        ("voice = 1", "voice must be a table", ""),
        ("[[voice]]\nx = 1", "voice must be a table", ""),
        ("a = ", "not valid TOML", ""),
    ],
)
def test_a_wrong_file_is_told_where_and_how(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        _load(tmp_path, text)
    assert "parley.toml" in caught.value.message or "PORT" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "env",
    [
        {"PARLEY_PORT": "http"},
        {"PARLEY_PORT": "-1"},
        {"PARLEY_PORT": "65536"},
        {"PARLEY_SLOT_PORT_BASE": "0"},
        {"PARLEY_LOG_LEVEL": "loud"},
        {"PARLEY_ADMIN_KEY": "with a space in it"},
        {"PARLEY_CONFIG": "/does/not/exist.toml"},
    ],
)
def test_a_wrong_environment_is_an_error(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        load(Given(), {"PARLEY_HOME": str(tmp_path), **env})


def test_a_secret_in_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, '[voice.stt]\napi_key = ["sk-very-secret"]')
    assert "very-secret" not in str(caught.value)
    settings = _load(tmp_path, "", PARLEY_ADMIN_KEY="sk-very-secret")
    assert "very-secret" not in repr(settings)


def test_misspelt_environment_names_are_noticed() -> None:
    (notice,) = unknown_environment({"PARLEY_PROT": "1", "PARLEY_PORT": "2", "PARLEY_TEST_MODELS": "x", "PATH": "y"})
    assert "PARLEY_PROT" in notice and "PARLEY_PORT" in notice
    assert unknown_environment(dict.fromkeys(ENVIRONMENT, "1")) == ()


def test_a_backends_type_may_be_said_in_other_words(tmp_path: Path) -> None:
    (backend,) = _load(tmp_path, '[[backends]]\nname = "x"\ntype = "llama.cpp"\n').llm.backends
    assert (backend.type, backend.base_url) == ("llamacpp", "http://127.0.0.1:8080/v1")
    with pytest.raises(SettingsError, match="capabilities"):
        _load(tmp_path, '[[backends]]\nname = "x"\ntype = "vllm"\ncapabilities = ["sight"]\n')
