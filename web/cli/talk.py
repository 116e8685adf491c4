"""`parley talk`: a real session from the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from web.cli.command import EVERY_DAY, Command, add_settings_flags, number_between, settings_of

if TYPE_CHECKING:
    from web.talk.screen import Screen
    from web.talk.sources import Clips, Lines, Microphone
    from web.terminal.api_client import Target

__all__ = ["SPEC"]

_OUTPUT_HZ = 24_000
_MICROPHONE_HZ = 16_000


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="a sound file to say (none: use the microphone); each file is one turn",
    )
    parser.add_argument(
        "--text", action="append", metavar="LINE", help="type a turn instead of saying it; may be repeated"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="save the spoken answers as a WAV file")
    parser.add_argument("--url", help="the server, like http://127.0.0.1:4000 (default: the one on this machine)")
    parser.add_argument("--key", help="its key (or PARLEY_ADMIN_KEY; not needed for your own server on this machine)")
    parser.add_argument("--model", help="the language model to use")
    parser.add_argument("--voice", help="the voice to use")
    parser.add_argument("--language", help="the language you speak, like en (default: detected)")
    parser.add_argument(
        "--wake", metavar="WORDS", help='answer only when a wake word is said, like "hey jarvis,alexa"'
    )
    parser.add_argument(
        "--wake-mode",
        choices=("pre", "post", "mid"),
        default="pre",
        help="where the wake word stands: before the request, after it, or anywhere (default: pre)",
    )
    parser.add_argument(
        "--patience",
        type=number_between(1, 86_400),
        default=30,
        metavar="SECONDS",
        help="how long to wait for an answer (default: 30)",
    )
    add_settings_flags(parser)


def _run(arguments: argparse.Namespace) -> int:
    import anyio

    from web.talk.screen import Screen

    screen = Screen()
    options = {"use_uvloop": _has_uvloop()}
    try:
        status = int(anyio.run(_until_interrupted, arguments, screen, backend_options=options))
    except* SystemExit:  # by rich: nobody reads what is printed any more, as behind `| head`
        status = 1
    return status


async def _until_interrupted(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ctrl-C ends the session in order: its ledger is still printed, its audio still saved."""
    import anyio

    from web.serving.ending_signals import ending_signals

    status = 130
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            with anyio.open_signal_receiver(*ending_signals()) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()

        group.start_soon(watch)
        status = await _converse(arguments, screen)
        group.cancel_scope.cancel()
    return status


async def _converse(arguments: argparse.Namespace, screen: Screen) -> int:
    from contextlib import AsyncExitStack

    from models.clock import SystemClock
    from models.errors import BadInput
    from web.talk.conversation import Conversation, session_body
    from web.talk.devices import DeviceSpeaker
    from web.talk.speaker import Recorder, SilentSpeaker, Speaker
    from web.talk.voice_check import check_voice
    from web.terminal.api_client import ApiClient

    if arguments.save and not arguments.save.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {arguments.save.absolute().parent}", hint="make it, or change --save")
    if arguments.save and arguments.save.is_dir():
        raise BadInput(f"{arguments.save} is a folder", hint="name a file for --save")
    source, rate_hz, wanted = await _source(arguments)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        speaker: Speaker
        if wanted is None:
            speaker = stack.enter_context(DeviceSpeaker(_OUTPUT_HZ))
        else:
            speaker = SilentSpeaker(clock, _OUTPUT_HZ)
        recorder = Recorder(speaker, _OUTPUT_HZ)
        target = await _target(arguments, screen, stack)
        client = await stack.enter_async_context(ApiClient(target))
        if arguments.voice:
            await check_voice(client, arguments.voice)
        talk = Conversation(client, clock, screen, recorder, patience_s=arguments.patience)
        try:
            await talk.run(session_body(rate_hz, _OUTPUT_HZ, vars(arguments)), source)
        finally:
            await _finish(arguments, screen, recorder.audio(), talk.turns)
    return 0 if wanted is None or len(talk.turns) >= wanted else 1


async def _finish(arguments: argparse.Namespace, screen: Screen, audio: Any, turns: list[Any]) -> None:
    import anyio
    import anyio.to_thread

    from web.talk.clip import write_wav

    if arguments.save:  # first of all: the terminal may be gone
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(write_wav, arguments.save, audio, _OUTPUT_HZ)
    screen.ledger(turns)
    if arguments.save:
        screen.note(f"{arguments.save}: {len(audio) / _OUTPUT_HZ:.1f} s of answer")


async def _source(arguments: argparse.Namespace) -> tuple[Clips | Lines | Microphone, int, int | None]:
    """What speaks, its sample rate, and how many turns must come of it (None: as many as come)."""
    import anyio.to_thread

    from web.talk.clip import read_clip, session_rate
    from web.talk.devices import load_sounddevice
    from web.talk.sources import Clips, Lines, Microphone

    if arguments.text:
        return Lines(arguments.text), _MICROPHONE_HZ, len(arguments.text)
    if not arguments.clips:
        load_sounddevice()
        return Microphone(_MICROPHONE_HZ), _MICROPHONE_HZ, None

    def read() -> tuple[Clips, int]:
        rate_hz = session_rate(arguments.clips[0])
        return Clips([read_clip(path, rate_hz) for path in arguments.clips]), rate_hz

    clips, rate_hz = await anyio.to_thread.run_sync(read)
    return clips, rate_hz, len(clips.clips)


async def _target(arguments: argparse.Namespace, screen: Screen, stack: Any) -> Target:
    """A running server, or one that is started for this conversation."""
    import anyio.to_thread

    from web.serving.child_server import first_key, own_server
    from web.terminal.api_client import ServerUnreachable, Target, find_server

    settings = settings_of(arguments)
    try:
        return find_server(settings, arguments.url, arguments.key)
    except ServerUnreachable:
        if arguments.url:
            raise
    screen.note("no server runs here: starting one for this conversation")
    if fresh_key := await anyio.to_thread.run_sync(first_key, settings):
        screen.note(f"admin key, shown this once: {fresh_key}")
    target = await stack.enter_async_context(own_server(settings, arguments.config))
    assert isinstance(target, Target)
    return target


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None


SPEC = Command(
    "talk",
    "talk to Parley from the terminal",
    "Have a conversation through your microphone, sound files or typed lines. If no server is running, one is "
    "started just for this conversation. Prints what was understood, the answers, and where the time went.",
    _configure,
    _run,
    EVERY_DAY,
)
