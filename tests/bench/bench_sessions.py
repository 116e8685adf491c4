"""How many idle sessions one core carries while it listens to all of them, and what each costs in memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import anyio
import psutil

from tests.bench.crowd import crowd
from tests.bench.live_client import LiveClient, live_client
from tests.bench.report import Options, Section, Table, percentile
from tests.bench.utterances import Utterance, utterances
from tests.parley_process import ParleyProcess, running_parley
from tests.scripted.process import running_scripted

__all__ = ["run"]

LEVELS = (0, 8, 16, 32, 64, 96, 128, 160, 192, 256, 384, 512)
HOLD_S = 8.0
LOST_S = 0.3
"""Speech that is noticed this much later than in an empty server: real time is lost."""
WAKE: dict[str, Any] = {"wake_word_config": {"enabled": True, "words": ["hey jarvis"]}}


def run(options: Options) -> Section:
    levels = LEVELS[:3] if options.quick else LEVELS
    found = {"VAD and wake word": _climb(levels, WAKE), "VAD only": _climb(levels, {})}
    tables = tuple(
        Table(
            (
                "idle sessions",
                "server, cores busy",
                "sessions per busy core",
                "onset noticed after, ms",
                "memory per session, MiB",
            ),
            tuple(
                (
                    row["sessions"],
                    f"{row['cores']:.2f}",
                    f"{row['sessions'] / row['cores']:.0f}" if row["sessions"] else "",
                    f"{row['noticed_s'] * 1000:.0f}" + (" (real time lost)" if row["lost"] else ""),
                    f"{row['memory_mib']:.2f}" if row["sessions"] else "",
                )
                for row in rows
            ),
            title=name,
        )
        for name, rows in found.items()
    )
    return Section(
        "Idle sessions",
        "Connected sessions that send the sound of a quiet room in 20 ms frames at real-time pace, so that the voice "
        "activity detector (and the wake word, where the table says so) works for all of them. One more session "
        "speaks: the time from the onset of its voice to `speech_started` at the client (p50 of 3) shows whether the "
        f"server keeps up. If this takes {LOST_S * 1000:.0f} ms longer than without other sessions, the server has "
        "fallen behind, and the measurement stops there. CPU time and memory are those of the server process; its "
        "worker processes are idle. The client runs on the same machine and uses some of its CPU.",
        tables,
    )


def _climb(levels: tuple[int, ...], config: dict[str, Any]) -> list[dict[str, Any]]:
    settings = "\n[voice]\nmax_sessions = 2000\n"
    with (
        tempfile.TemporaryDirectory() as folder,
        running_scripted() as service,
        running_parley(Path(folder), config=service.parley_config(settings)) as server,
    ):
        service.script(transcripts=[""])  # the probe is noticed, and nothing more is made of it
        return anyio.run(_climb_on, server, levels, config)


async def _climb_on(server: ParleyProcess, levels: tuple[int, ...], config: dict[str, Any]) -> list[dict[str, Any]]:
    process = psutil.Process(server.pid)
    [utterance] = utterances(1)
    rows: list[dict[str, Any]] = []
    async with live_client(server) as probe, crowd(server, config) as people:
        await _noticed_s(probe, utterance)  # the first time loads what later ones find loaded
        empty_mib = process.memory_info().rss / 2**20
        for level in levels:
            await people.grow(level)
            await anyio.sleep(2.0)
            people.late_s = 0.0
            busy, since = _cpu_s(process), time.monotonic()
            await anyio.sleep(HOLD_S)
            cores = (_cpu_s(process) - busy) / (time.monotonic() - since)
            noticed = percentile([await _noticed_s(probe, utterance) for _ in range(3)], 50)
            memory = (process.memory_info().rss / 2**20 - empty_mib) / max(1, level)
            lost = bool(rows) and noticed - rows[0]["noticed_s"] > LOST_S or people.gone > 0
            rows.append({"sessions": level, "cores": cores, "noticed_s": noticed, "memory_mib": memory, "lost": lost})
            print(rows[-1], f"load generator late {people.late_s * 1000:.0f} ms", flush=True)
            if lost:
                break
    return rows


async def _noticed_s(probe: LiveClient, utterance: Utterance) -> float:
    """Seconds from the onset of a voice to `speech_started`; as long as it took to give up where it never came."""
    first_s, last_s = probe.say(utterance)
    try:
        noticed = (await probe.wait("speech_started", first_s, timeout_s=15.0)).at_s - first_s
        await probe.wait("speech_stopped", last_s, timeout_s=15.0)
    except TimeoutError:
        return 15.0
    await anyio.sleep(1.0)
    return noticed


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
