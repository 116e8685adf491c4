"""`parley doctor`: what works here, what does not, and what to do next."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from web.cli.command import EVERY_DAY, Command, add_settings_flags, settings_of

if TYPE_CHECKING:
    from web.doctor.finding import Finding

__all__ = ["SPEC"]


_VERDICTS = {
    "ok": "Everything works.",
    "warn": "Everything works. The hints above (->) say what would work better.",
    "fail": "Something does not work.",
}


def _run(arguments: argparse.Namespace) -> int:
    import os
    from functools import partial

    import anyio
    from rich.text import Text

    from models.errors import PartBroken, SettingsError
    from web.doctor import configuration, running
    from web.doctor.backends import backends
    from web.doctor.finding import Finding, worst
    from web.doctor.installation import installation
    from web.logs import configure
    from web.serving.runfile import RunFile
    from web.terminal.console import PlainConsole

    configure("error")
    console = PlainConsole(soft_wrap=True)
    findings: list[Finding] = []

    def say(found: list[Finding]) -> None:
        for finding in found:
            mark, style = {"ok": ("  ok  ", "green"), "warn": (" warn ", "yellow"), "fail": (" FAIL ", "bold red")}[
                finding.level
            ]
            console.print(Text.assemble((mark, style), f" {finding.subject}: {finding.text}"))
            if finding.next:
                console.print(Text(f"        -> {finding.next}", style="dim"))
        findings.extend(found)

    try:
        settings = settings_of(arguments)
    except (SettingsError, PartBroken) as error:
        say([Finding("fail", "Configuration", error.message, error.hint)])
        return 1
    server = RunFile(settings.home).read()
    for look in (
        partial(configuration.environment, settings, os.environ),
        partial(configuration.home, settings),
        partial(configuration.ports, settings, server.url if server else None),
        partial(configuration.stages, settings),
        partial(anyio.run, backends, settings),
        installation,
        partial(configuration.ears, settings),
        running.microphone,
        partial(anyio.run, running.server, server),
    ):
        try:
            say(look())
        except PartBroken as error:
            say([Finding("fail", "Parts", error.message, error.hint)])
    level = worst(findings)
    console.print(_VERDICTS[level])
    return 1 if level == "fail" else 0


SPEC = Command(
    "doctor",
    "check this machine and suggest what to do next",
    "Check Python, libraries, models, ports, disk and the running server. Exit status 1: something is broken.",
    add_settings_flags,
    _run,
    EVERY_DAY,
)
