"""Which engine hears and which speaks: chosen, started in a worker process of its own, and spoken to from here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import aiohttp
import anyio.to_thread
from anyio.abc import TaskGroup

from llm.workers.placement import Placement, Worker
from llm.workers.process import WorkerSpec
from models.errors import SettingsError
from models.registry import discover
from models.store import Installed, Store
from voice.errors import NoModel
from voice.port import Stt, SttSpec, Tts, TtsSpec
from voice.settings import SpeechServiceSettings, VoiceSettings, WakeSettings
from voice.slot_speech import speech_command, speech_environment
from voice.stt.openai import OpenAiStt
from voice.stt.remote import RemoteStt
from voice.tts.openai import OpenAiTts
from voice.tts.remote import RemoteTts

__all__ = ["OPENAI", "Chosen", "PartRow", "Parts", "choose", "open_parts", "wake_models"]

START_S = 60.0
"""A worker that is being started is waited for at least so long: a large model takes its time to load."""

STT_PORT_OFFSET = 20
TTS_PORT_OFFSET = 21
"""From the slots' first port: speech workers stand beside the slots and not among them."""
OPENAI = "openai"

Kind = Literal["stt", "tts"]
Spec = TypeVar("Spec", SttSpec, TtsSpec)


@dataclass(frozen=True, slots=True)
class PartRow:
    """One line of the table that `parley up` shows. `problem()` says why the part is not ready, "" if it is."""

    stage: Kind
    part: str
    why: str
    improve: str
    ready: Callable[[], bool]
    problem: Callable[[], str]
    names: tuple[str, ...] = ()
    """What a request may call this part."""


@dataclass(frozen=True, slots=True)
class Parts:
    stt: Stt
    tts: Tts
    table: tuple[PartRow, ...]
    workers: tuple[Worker, ...]

    def serves(self, stage: Kind, name: str) -> bool:
        """A request that names this model means the part that is there already."""
        return any(row.stage == stage and name in row.names for row in self.table)

    async def ensure_ready(self, timeout_s: float) -> None:
        """Wait until every worker answers. Raises WorkerDied or PortTaken for the first that does not."""
        for worker in self.workers:
            await worker.ensure_ready(timeout_s)


@dataclass(frozen=True, slots=True)
class Chosen:
    """An engine, the model it is loaded with, and what to tell about it."""

    engine: str
    model: Installed | None
    why: str
    improve: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.engine,) if self.model is None else (self.model.name,)

    @property
    def title(self) -> str:
        return f"{self.engine} ({self.model.name})" if self.model is not None else self.engine


def choose(
    kind: Kind, settings: SpeechServiceSettings, specs: dict[str, Spec], installed: Sequence[Installed]
) -> Chosen:
    """The engine that the settings name, or the best there is.

    1. a named engine: that one, with the named model, or the best model of a format it reads
    2. auto: the best installed model that some engine reads, with that engine
    3. auto with no model: the engine that needs none
    Raises SettingsError for an engine that does not exist, NoModel where the engine's model is not there.
    """
    wanted = settings.engine
    language = settings.language
    improve = f"parley download-model --for {kind}" + (
        "" if language in ("auto", "en") else f" --language {language}"
    )
    why = "comes with Parley" if wanted == "auto" else "configured"
    if wanted != "auto" and wanted not in specs:
        names = ", ".join(("auto", OPENAI, *specs))
        raise SettingsError(f"voice.{kind}.engine: there is no engine {wanted!r}", hint=f"there are: {names}")
    for model in installed:
        if settings.model and settings.model not in (model.name, str(model.path)):
            continue
        for spec in specs.values():
            if model.format in spec.formats and wanted in ("auto", spec.name):
                return Chosen(spec.name, model, "best that is installed" if wanted == "auto" else why, "")
    for spec in specs.values():
        if not spec.needs_model and (wanted == spec.name or (wanted == "auto" and not settings.model)):
            knows = language == "auto" or "*" in spec.languages or language.lower()[:2] in spec.languages
            return Chosen(spec.name, None, why if knows else f"{why}; it does not know {language!r}", improve)
    missing = f"model {settings.model!r}" if settings.model else f"model for {wanted}"
    raise NoModel(f"voice.{kind}: the {missing} is not in the store", hint=f"`{improve}` installs one")


async def open_parts(
    settings: VoiceSettings,
    store: Store,
    http: aiohttp.ClientSession,
    placement: Placement,
    task_group: TaskGroup,
    port_base: int,
) -> Parts:
    """Choose the engines and start their workers in `task_group`; they may still be loading when this returns.

    Raises SettingsError and NoModel.
    """
    found = await anyio.to_thread.run_sync(lambda: (store.installed("stt"), store.installed("tts")))
    workers: list[Worker] = []
    rows: list[PartRow] = []

    async def start(kind: Kind, chosen: Chosen, port: int) -> Worker:
        # A session that is spoken to in another language is answered by another voice of the same engine.
        beside = store.folders if kind == "tts" else ()
        worker = placement.place(_worker(kind, chosen, port, beside))
        await task_group.start(worker.run)
        workers.append(worker)
        rows.append(
            PartRow(
                kind,
                chosen.title,
                chosen.why,
                chosen.improve,
                lambda: _is_ready(worker),
                lambda: _why(worker),
                chosen.names,
            )
        )
        return worker

    def service(kind: Kind, wanted: SpeechServiceSettings) -> None:
        if not wanted.base_url:
            raise SettingsError(
                f"voice.{kind}.base_url is missing", hint='engine = "openai" needs the service\'s URL'
            )
        part = f"{wanted.model or 'default model'} at {wanted.base_url}"
        rows.append(PartRow(kind, part, "configured", "", lambda: True, lambda: ""))

    stt: Stt
    if settings.stt.engine == OPENAI:
        service("stt", settings.stt)
        stt = OpenAiStt(http, settings.stt)
    else:
        stt_specs: dict[str, SttSpec] = discover("voice.stt")
        chosen = choose("stt", settings.stt, stt_specs, found[0])
        worker = await start("stt", chosen, port_base + STT_PORT_OFFSET)
        spec, patience_s = stt_specs[chosen.engine], settings.stt.timeout_s
        stt = RemoteStt(
            http,
            _address(worker, max(START_S, patience_s)),
            chosen.engine,
            streaming=spec.streaming,
            spotting=spec.spotting,
            timeout_s=patience_s,
        )
    tts: Tts
    if settings.tts.engine == OPENAI:
        service("tts", settings.tts)
        tts = OpenAiTts(http, settings.tts)
    else:
        tts_specs: dict[str, TtsSpec] = discover("voice.tts")
        chosen = choose("tts", settings.tts, tts_specs, found[1])
        worker = await start("tts", chosen, port_base + TTS_PORT_OFFSET)
        patience_s = settings.tts.timeout_s
        tts = RemoteTts(http, _address(worker, max(START_S, patience_s)), chosen.engine, timeout_s=patience_s)
    return Parts(stt, tts, tuple(rows), tuple(workers))


def wake_models(settings: WakeSettings, store: Store) -> tuple[Path, ...]:
    """The wake-word models of this machine beside the engine's own: those of the settings, then the store's.

    Raises NoModel for a path of the settings that is not there. Blocks on the disk.
    """
    named = tuple(Path(path).expanduser() for path in settings.models)
    for path in named:
        if not path.is_file():
            raise NoModel(f"voice.wake.models: there is no file {path}", hint="give the path of a .onnx or .tflite")
    return (*named, *(model.path for model in store.installed("wake") if model.path not in named))


def _worker(kind: Kind, chosen: Chosen, port: int, beside: Sequence[Path]) -> WorkerSpec:
    argv = speech_command(kind, chosen.engine, None if chosen.model is None else Path(chosen.model.path), beside)
    return WorkerSpec(f"{kind}-{chosen.engine}", (*argv, "--port", str(port)), port, env=speech_environment())


def _address(worker: Worker, timeout_s: float) -> Callable[[], Awaitable[str]]:
    async def address() -> str:
        return await worker.ensure_ready(timeout_s)

    return address


def _is_ready(worker: Worker) -> bool:
    return worker.state.value == "ready"


def _why(worker: Worker) -> str:
    if _is_ready(worker):
        return ""
    tail = worker.last_words()
    return tail[0] if tail else f"its worker is {worker.state.value}"
