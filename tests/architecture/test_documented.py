"""The pages name every setting with its real default, every environment name and every metric."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
import typing

from tests.architecture.source_tree import ROOT, modules
from voice.turn.states import TABLE, State
from web.settings import Settings

PAGE = ROOT / "docs" / "configuration.md"
# Told by the environment and the command line, never by the file.
NOT_IN_FILE = {"home", "config_path", "admin_key"}
_ROW = re.compile(r"^\| `(?P<key>[\w.]+)` \| (?P<default>.*?) \|")


def _documented() -> dict[str, dict[str, str]]:
    """{section: {key: default as written}} of the tables under `## [section]` headings."""
    found: dict[str, dict[str, str]] = {}
    section = None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = re.search(r"`\[(.*)\]`", line)
            section = heading[1] if heading else None
        elif section is not None and (row := _ROW.match(line)):
            found.setdefault(section, {})[row["key"]] = row["default"].strip("`")
    return found


def _settings(cls: type, section: str = "") -> dict[str, dict[str, str]]:
    """The same of the dataclasses behind parley.toml: a field that is a dataclass is a section of its own."""
    found: dict[str, dict[str, str]] = {section: {}}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if section == "" and field.name in NOT_IN_FILE:
            continue
        if dataclasses.is_dataclass(hint):
            found |= _settings(hint, f"{section}.{field.name}".removeprefix("."))
        elif inner := [argument for argument in typing.get_args(hint) if dataclasses.is_dataclass(argument)]:
            # an array of tables: [[voice.tools.http]]; that of the backends stands at the top
            name = field.name if field.name == "backends" else f"{section}.{field.name}"
            found |= _settings(inner[0], f"[{name}]")
        else:
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            found[section][field.name] = _written(default)
    return {name: keys for name, keys in found.items() if keys}


def _written(value: object) -> str:
    match value:
        case dataclasses.MISSING:
            return "required"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case None:
            return "(unset)"
        case tuple():
            return json.dumps(list(value))
    return str(value)


def test_every_setting_is_documented_with_its_default() -> None:
    documented, settings = _documented(), _settings(Settings)
    assert "voice.turn" in settings
    assert "[backends]" in settings
    assert sorted(set(settings) ^ set(documented)) == [], "sections on one side only"
    for section, keys in settings.items():
        assert sorted(set(keys) - set(documented[section])) == [], f"settings of [{section}] without a row"
        assert sorted(set(documented[section]) - set(keys)) == [], f"rows of [{section}] that do not exist"
        for key, default in keys.items():
            assert documented[section][key] == default, f"the default of {section}.{key}"


def test_every_environment_name_is_documented() -> None:
    name = re.compile(r"\bPARLEY_[A-Z][A-Z_]*[A-Z]\b")
    used = {found for path in modules() for found in name.findall(path.read_text(encoding="utf-8"))}
    assert "PARLEY_HOME" in used
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(found for found in used if f"`{found}" not in page) == []


def test_every_metric_is_documented() -> None:
    call = re.compile(r'(?:counter|histogram|gauge)\(\s*"(parley_\w+)"')
    made = {name for path in modules() for name in call.findall(path.read_text(encoding="utf-8"))}
    assert "parley_turns_total" in made
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert sorted(name for name in made if not re.search(rf"`{name}\b", page)) == []


def _transitions() -> str:
    """The transition table of the turn machine, as Markdown."""
    head = ["event", *(state.name for state in State)]
    rows = [
        [event.__name__, *(f"`{row[state]}`" if state in row else "-" for state in State)]
        for event, row in TABLE.items()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def test_architecture_page_has_the_table_of_the_turn_machine() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert _transitions() in page, f"put this into docs/architecture.md:\n{_transitions()}"


def test_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == version


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()) - {"compiler"}
    assert set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE)) == phony


def test_pins_are_exact_and_from_no_certain_place() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][\w.]*", pin)] == []
    names = {re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    asked = {re.sub(r"[-_.]+", "-", re.split(r"[><=;\[ ]", entry)[0]).lower() for entry in wanted}
    assert sorted(asked - names) == []
    assert "triton" not in names and not any(name.startswith("nvidia-") for name in names - {"nvidia-ml-py"})
