"""What a session has done for a turn: recogniser, mind, mouth. A shell; results go to `hear` as events.

Everything that runs for a revision can be cancelled together by the revision's number; a result that slips
through carries the number, and the turn machine drops it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

import anyio
import anyio.to_thread
import numpy as np
import structlog
from anyio.abc import TaskGroup

from llm.errors import ContextTooLong, UnknownModel
from llm.messages import GenerateRequest, Message, Priority, Sampling, ToolCall, WaitState
from llm.port import Generator
from llm.stream import Finish, FinishReason, TextDelta, ToolCallDelta, UsageSoFar
from models.clock import Clock
from models.errors import BadInput, ParleyError
from voice.ears.ears import Ears
from voice.ears.hearing import Hearing
from voice.ears.intake import RATE_HZ
from voice.ears.ring import AudioRing
from voice.errors import TtsFailed
from voice.port import SpeakRequest, SpeechChunk, Stt, Tts, Word
from voice.resample import StreamResampler
from voice.session.config import SessionConfig
from voice.settings import VoiceSettings
from voice.tools.toolbox import ToolBox
from voice.turn import events as heard
from voice.turn.actions import (
    Abandon,
    Erase,
    Listen,
    Prefill,
    RunTool,
    ScoreTurn,
    Speak,
    StopListening,
    Think,
    Transcribe,
)
from voice.turn.bargein import spotted_phrases
from voice.turn.history import shorter, without_images
from voice.turn_detection.spec import Scorer

__all__ = ["SessionParts", "Work", "WorkAction"]

SCORED_S = 8
"""A turn detector looks at so much of a turn."""
WAIT_TOLD_EVERY_S = 2.0
AHEAD_S = 0.5
"""Audio that came so long before the ears have heard it came in a burst: what they make of it is not known yet."""
SILENCE = np.zeros(0, np.int16)

log = structlog.get_logger(__name__)

WorkAction = Listen | Erase | StopListening | Transcribe | ScoreTurn | Prefill | Think | Speak | RunTool | Abandon


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a session works with; shared by all sessions of the server."""

    ears: Ears
    stt: Stt
    generator: Generator
    tts: Tts
    forget: Callable[[str], Awaitable[None]]
    """Free the model's memory of a conversation."""
    clock: Clock
    tools: ToolBox | None = None
    """What the server runs for its sessions."""
    scorer: Scorer | None = None
    """Hears whether a turn is over, where a model for that is loaded."""
    prefill: Callable[[GenerateRequest], Awaitable[None]] | None = None
    """Let the model read a prompt ahead of its request, where that is free. Raises nothing."""


class Work:
    """Of one connected session. `tasks` is set before the first action; `config` when it changes."""

    tasks: TaskGroup

    def __init__(
        self,
        name: str,
        owner: str,
        config: SessionConfig,
        settings: VoiceSettings,
        parts: SessionParts,
        ring: AudioRing,
        hear: Callable[[heard.TurnEvent], None],
    ) -> None:
        self.config = config
        self._name, self._owner = name, owner
        self._settings, self._parts, self._ring, self._hear = settings, parts, ring, hear
        self._hearings: dict[int, Hearing] = {}
        self._scopes: defaultdict[int, list[anyio.CancelScope]] = defaultdict(list)
        self._prefill_scope = anyio.CancelScope()
        """Of the prefill that runs, if one does."""

    def do(self, action: WorkAction) -> None:
        """Begin it; returns at once."""
        match action:
            case Listen(turn=turn, from_s=from_s):
                self._hearings[turn] = hearing = self._new_hearing(from_s, None)
                self.tasks.start_soon(hearing.run, lambda text: self._hear(heard.PartialTranscript(turn, text)))
            case Erase(from_s=from_s, until_s=until_s):
                self._ring.silence(round(from_s * RATE_HZ), round(until_s * RATE_HZ))
            case StopListening(turn=turn):
                hearing_gone = self._hearings.pop(turn, None)
                if hearing_gone is not None:
                    hearing_gone.close()
            case Transcribe():
                self._start(action.revision, partial(self._transcribe, action))
            case ScoreTurn():
                self._start(action.revision, partial(self._score, action))
            case Prefill():
                self._prefill_scope.cancel()
                self._prefill_scope = anyio.CancelScope()
                self.tasks.start_soon(self._prefill, action, self._prefill_scope)
            case Think():
                if not action.out_of_band:
                    self._prefill_scope.cancel()  # what was read so far is kept, and the request reads on
                self._start(action.revision, partial(self._think, action))
            case Speak():
                self._start(action.revision, partial(self._speak, action))
            case RunTool():
                self._start(action.revision, partial(self._run_tool, action))
            case Abandon(revision=revision):
                for scope in self._scopes.pop(revision, []):
                    scope.cancel()

    def audio_came(self) -> None:
        """The ring holds more than before."""
        for hearing in self._hearings.values():
            hearing.audio_came()

    def _start(self, revision: int, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until it is done or its revision is abandoned."""
        scope = anyio.CancelScope()
        self._scopes[revision].append(scope)

        async def guarded() -> None:
            with scope:
                await work()
            scopes = self._scopes.get(revision)
            if scopes is not None and scope in scopes:
                scopes.remove(scope)
                if not scopes:
                    del self._scopes[revision]

        self.tasks.start_soon(guarded)

    async def _transcribe(self, action: Transcribe) -> None:
        hearing = self._hearings.get(action.turn)
        from_sample = round(action.from_s * RATE_HZ)
        until = None if action.until_s is None else round(action.until_s * RATE_HZ)
        if until is None and action.heard_s is not None:
            ears_at = round(action.heard_s * RATE_HZ)
            until = ears_at if self._ring.end > ears_at + AHEAD_S * RATE_HZ else None
        try:
            if hearing is not None and until is None and hearing.from_sample == from_sample:
                if action.spot:
                    phrase = await hearing.spot(spotted_phrases(self._settings.turn.stop_words))
                    if phrase is not None:
                        self._hear(heard.PhraseSpotted(action.revision, phrase))
                transcript = await hearing.transcribe()
            else:
                exact = self._new_hearing(action.from_s, until)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(exact.run, lambda text: None)
                    transcript = await exact.transcribe()
                    exact.close()
            self._hear(heard.TranscriptReady(action.revision, transcript.text, transcript.language))
        except* ParleyError as group:
            error = _first(group)
            self._hear(heard.TranscriptFailed(action.revision, error.code, error.message, error.hint))

    async def _score(self, action: ScoreTurn) -> None:
        """In a thread, as it takes 50 ms of a core. Without an answer the turn ends by its silence."""
        scorer = self._parts.scorer
        if scorer is None:
            return
        pcm = self._ring.read(round(action.from_s * RATE_HZ))[-SCORED_S * RATE_HZ :]
        try:
            probability = await anyio.to_thread.run_sync(scorer.score, pcm)
        except Exception:  # of the model's library, which has its own tree of errors: it is an opinion, not a part
            log.exception("turn not scored", session=self._name)
            return
        self._hear(heard.TurnScored(action.revision, probability))

    # ---- mind -----------------------------------------------------------------------------------------------

    async def _prefill(self, action: Prefill, scope: anyio.CancelScope) -> None:
        """Behind everybody's replies: it is work for a turn that may yet be a cough."""
        if self._parts.prefill is None or any(message.media for message in action.messages):
            return
        request = GenerateRequest(
            messages=action.messages,
            model=self.config.llm.model or self._settings.llm.model,
            conversation=self._name,
            tools=action.tools,
            priority=Priority.INTERACTIVE,
            user=self._owner,
            thinking=False,
        )
        with scope:
            await self._parts.prefill(request)

    async def _think(self, action: Think) -> None:
        """Ask the model; where the conversation has outgrown its context, with less of it; where it shows images and
        nobody sees, without them."""
        messages = action.messages
        try:
            while True:
                try:
                    await self._generate(action, messages)
                    return
                except ContextTooLong:
                    messages = shorter(messages)
                except (BadInput, UnknownModel):
                    if not any(message.media for message in messages):
                        raise
                    messages = without_images(messages)  # nobody sees them here; the conversation goes on
        except ParleyError as error:
            self._hear(heard.MindFailed(action.revision, error.code, error.message, error.hint))

    async def _generate(self, action: Think, messages: tuple[Message, ...]) -> None:
        llm = self.config.llm
        request = GenerateRequest(
            messages=messages,
            model=llm.model or self._settings.llm.model,
            sampling=Sampling(temperature=action.temperature, max_tokens=action.max_tokens),
            conversation=None if action.out_of_band else self._name,
            tools=action.tools,
            tool_choice=action.tool_choice if action.tools else None,
            priority=Priority.INTERACTIVE if action.out_of_band else Priority.VOICE,
            user=self._owner,
            thinking=False,  # nobody wants to wait for thoughts that are not spoken
            on_wait=self._waits_of(action.revision),
        )
        usage = None
        calls: dict[int, ToolCall] = {}
        reason: FinishReason = "stop"
        async with aclosing(self._parts.generator.generate(request)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    self._hear(heard.TokensArrived(action.revision, event.text))
                elif isinstance(event, UsageSoFar):
                    spent = event.usage
                    self._hear(heard.UsageKnown(action.revision, spent.prompt_tokens, spent.completion_tokens))
                elif isinstance(event, ToolCallDelta):
                    calls[event.index] = _grown(calls.get(event.index), event)
                elif isinstance(event, Finish):
                    usage, reason = event.usage, event.reason
        made = tuple(calls[index] for index in sorted(calls))
        prompt, completion = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        self._hear(heard.MindFinished(action.revision, prompt, completion, reason, made))

    def _waits_of(self, revision: int) -> Callable[[WaitState], None]:
        """Tells the machine what the model's request waits for: every change, and every 2 s that it still does."""
        last: list[tuple[heard.MindWaits, float]] = []

        def tell(state: WaitState) -> None:
            now, progress = self._parts.clock.now(), state.progress
            waits = heard.MindWaits(
                revision, state.loading, None if progress is None else round(progress, 2), state.position
            )
            if not last or last[0][0] != waits or now >= last[0][1] + WAIT_TOLD_EVERY_S:
                last[:] = [(waits, now)]
                self._hear(waits)

        return tell

    async def _run_tool(self, action: RunTool) -> None:
        assert self._parts.tools is not None, "only the tools of the box are offered"
        result = await self._parts.tools.run(action.name, action.arguments, action.timeout_s)
        self._hear(heard.ToolResult(action.call_id, result))

    # ---- mouth ----------------------------------------------------------------------------------------------

    async def _speak(self, action: Speak) -> None:
        voice = action.voice
        asked = voice.voice_id if voice.voice_id != "default" else self._settings.tts.voice or "default"
        rate_hz = action.rate_hz  # a reply keeps its rate, whatever the client changes
        resampler: StreamResampler | None = None
        words: tuple[Word, ...] = ()
        sounds = False
        try:
            async with aclosing(
                self._spoken(SpeakRequest(action.text, asked, voice.speed), voice.language)
            ) as stream:
                async for chunk in stream:
                    if resampler is None:
                        resampler = StreamResampler(chunk.rate_hz, rate_hz)
                    words = chunk.words or words
                    pcm = resampler.process(chunk.pcm)
                    sounds = sounds or len(chunk.pcm) > 0
                    if len(pcm):
                        self._hear(heard.ClauseAudio(action.revision, action.clause, pcm, rate_hz))
            tail = resampler.process(SILENCE, last=True) if resampler is not None else SILENCE
            if not (sounds or len(tail)):
                raise TtsFailed("the voice made no sound of what it was given", hint="see the log of the voice")
            self._hear(heard.ClauseAudio(action.revision, action.clause, tail, rate_hz, words, is_last=True))
        except ParleyError as error:
            failed = heard.ClauseFailed(action.revision, action.clause, error.code, error.message, error.hint)
            self._hear(failed)

    async def _spoken(self, request: SpeakRequest, asked: str) -> AsyncGenerator[SpeechChunk]:
        """In the reply's language, if it can be spoken; where the session or `[voice.tts]` names it, in no other."""
        named = asked in (self.config.voice.language, self._settings.tts.language)
        language = None if asked == "auto" else asked
        begun = False
        try:
            async with aclosing(self._parts.tts.speak(replace(request, language=language))) as stream:
                async for chunk in stream:
                    begun = True
                    yield chunk
        except BadInput:
            if begun or named:
                raise
            async with aclosing(self._parts.tts.speak(request)) as stream:
                async for chunk in stream:
                    yield chunk

    def _new_hearing(self, from_s: float, until: int | None) -> Hearing:
        language = self.config.voice.language
        if language == "auto":
            language = self._settings.stt.language
        return Hearing(
            self._parts.stt, self._ring, None if language == "auto" else language, round(from_s * RATE_HZ), until
        )


def _grown(call: ToolCall | None, piece: ToolCallDelta) -> ToolCall:
    if call is None:
        return ToolCall(piece.id or "", piece.name or "", piece.arguments, piece.extra)
    extra = {**call.extra, **piece.extra}
    return ToolCall(call.id or piece.id or "", call.name or piece.name or "", call.arguments + piece.arguments, extra)


def _first(group: BaseExceptionGroup[ParleyError]) -> ParleyError:
    """The first error of a group, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return _first(error)
        return error
    raise AssertionError("an exception group is never empty")
