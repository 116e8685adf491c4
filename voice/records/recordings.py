"""The folder of recorded sessions: written in a thread, bounded in size and age, and never in the way.

With the session's consent (`record: true`, until it is taken back) there are the words, and beside them the audio of
both sides as WAV. With
`[voice.record] events` every session is written, without words and audio. What does not fit, or a disk that is full,
ends the recording with a line in the log; the conversation goes on.
"""

from __future__ import annotations

import os
import secrets
import wave
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
import structlog

from models.clock import Clock
from voice.ears.intake import RATE_HZ
from voice.port import Pcm
from voice.records.awaiting_consent import AwaitingConsent
from voice.records.masking import Mask
from voice.records.recording import Recording
from voice.resample import StreamResampler
from voice.session.outgoing import AudioOut
from voice.session.watcher import Watcher
from voice.settings import RecordSettings
from voice.turn.actions import Action, Tell
from voice.turn.events import ConfigChanged, TurnEvent
from voice.turn.machine_start import MachineStart

__all__ = ["Recorder", "Recordings"]

LINES_AT_ONCE = 64
MAX_WAITING = 256
"""Pieces that wait for the disk. More, and the disk does not keep up: the recording ends."""

log = structlog.get_logger(__name__)


class Recordings:
    """`record(name, start, consent)` gives the watcher that begins one, where one is to be begun."""

    def __init__(self, folder: Path, settings: RecordSettings, clock: Clock) -> None:
        self._folder, self._settings, self._clock = folder, settings, clock
        self._writer = ThreadPoolExecutor(1)
        self._going: set[str] = set()
        """Names of the recordings that are being written. The thread's own."""

    def record(self, name: str, start: MachineStart, *, consent: bool) -> Watcher:
        """Without `consent` it may be given later, before anything else has happened (awaiting_consent.py)."""
        if consent:
            return self._recorder(name, start, True, agreed=True)
        return AwaitingConsent(
            lambda given: self._recorder(name, start, given) if given or self._settings.events else None
        )

    def _recorder(self, name: str, start: MachineStart, consent: bool, *, agreed: bool = False) -> Recorder:
        path = self._folder / f"{self._clock.wall():%Y%m%dT%H%M%S}-{name}.jsonl"
        mask = None if consent else Mask(secrets.token_bytes(16), (*start.config.wake.words, *start.audible))
        self._writer.submit(self._tidy)
        max_bytes = self._settings.max_mb * 2**20
        return Recorder(path, Recording(name, start, mask), self._writer, self._going, max_bytes, consent, agreed)

    def close(self) -> None:
        """Returns when everything is written. Blocks."""
        self._writer.shutdown()

    def _tidy(self) -> None:
        """Delete what is too old, and the oldest of what is too much; nothing that is being written, and nothing
        that is no recording. In the thread.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            files = [path for path in self._folder.iterdir() if path.suffix in (".jsonl", ".wav") and path.is_file()]
            kept = sorted(((path.stat().st_mtime, path.stat().st_size, path) for path in files), reverse=True)
        except OSError as error:
            log.warning("recordings not tidied", error=error.strerror or type(error).__name__)
            return
        too_old = (self._clock.wall() - timedelta(days=self._settings.keep_days)).timestamp()
        total = 0
        for changed, size, path in kept:
            total += size
            too_much = total > self._settings.total_mb * 2**20
            if (changed < too_old or too_much) and path.name.partition(".")[0] not in self._going:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:  # the others go all the same
                    log.warning("recording not deleted", file=path.name, error=error.strerror)


WAV_HEAD_BYTES = 44


class Recorder:
    """A `Watcher` of one session. `agreed`: its first configuration did; else an update in what follows does."""

    def __init__(
        self,
        path: Path,
        recording: Recording,
        writer: ThreadPoolExecutor,
        going: set[str],
        max_bytes: int,
        audio: bool,
        agreed: bool,
    ) -> None:
        self.path = path
        """Where it is to be; the thread finds another name where there is one already."""
        self._recording, self._writer, self._left, self._audio = recording, writer, max_bytes, audio
        self._going = going
        self._lines: list[str] = []
        self._given = self._written = 0
        """Pieces: the first is counted by the event loop only, the second by the thread."""
        self._agreed = agreed
        self._stopped = self._withdrawn = False
        self._wavs: dict[str, tuple[BinaryIO, wave.Wave_write]] = {}
        self._resamplers: dict[str, StreamResampler] = {}
        head = _bytes(recording.head)
        self._do(len(head), partial(self._begin, head))

    def stepped(self, event: TurnEvent, now: float, actions: Sequence[Action]) -> None:
        if self._audio and isinstance(event, ConfigChanged):
            if self._agreed and not event.config.record and not self._withdrawn:
                self._flush()
                self._withdrawn = True  # what was said before was said with consent
                log.info("recording.ended", file=self.path.name, why="the session has withdrawn its consent")
            self._agreed |= event.config.record
        if self._stopped or self._withdrawn:
            return
        try:
            self._lines.append(self._recording.step(event, now, actions))
        except Exception as error:
            self._stop(f"cannot be written: {type(error).__name__}")  # never the conversation's trouble
            return
        if self._audio:
            for action in actions:
                if isinstance(action, Tell) and isinstance(action.event, AudioOut) and len(action.event.pcm):
                    self._sound("parley", action.event.pcm, action.event.rate_hz)
        if len(self._lines) >= LINES_AT_ONCE:
            self._flush()

    def heard(self, pcm: Pcm) -> None:
        if self._audio and not (self._stopped or self._withdrawn):
            self._sound("user", pcm, RATE_HZ)

    def refused(self, code: str) -> None:
        return

    def ended(self, now: float) -> None:
        if not (self._stopped or self._withdrawn):
            self._flush()
        self._writer.submit(self._close)

    def _flush(self) -> None:
        data, self._lines = _bytes("".join(self._lines)), []
        self._do(len(data), partial(self._append, data))

    def _sound(self, side: str, pcm: Pcm, rate_hz: int) -> None:
        self._do(2 * len(pcm), partial(self._append_sound, side, pcm, rate_hz))

    def _do(self, size: int, work: Callable[[], None]) -> None:
        self._left -= size
        if self._left < 0:
            self._stop("is as long as it may be (voice.record.max_mb)")
        elif self._given - self._written >= MAX_WAITING:
            self._stop("the disk does not keep up")
        else:
            self._given += 1
            self._writer.submit(self._guarded, work)

    def _stop(self, why: str) -> None:
        if not self._stopped:
            self._stopped = True
            log.warning("recording.stopped", file=self.path.name, why=why)

    # ---- in the thread --------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            if not self._stopped:
                work()
        except OSError as error:
            self._stop(error.strerror or type(error).__name__)
        finally:
            self._written += 1

    def _begin(self, head: bytes) -> None:
        """A session that comes back within the same second, or as the clock is set back, gets a file of its own."""
        name = self.path.stem
        for number in count(2):
            try:
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                self.path = self.path.with_stem(f"{name}-{number}")
        self._going.add(self.path.stem)
        self._append(head)

    def _append(self, data: bytes) -> None:
        """Whole, or not at all: half a line would spoil those before it. Never a new file: it would have no head."""
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb", 0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
            except OSError:
                file.truncate(before)
                if before == 0:
                    self.path.unlink()
                raise

    def _append_sound(self, side: str, pcm: Pcm, rate_hz: int) -> None:
        if side not in self._wavs:
            path = self.path.with_suffix(f".{side}.wav")
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
            writer = wave.open(file, "wb")
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(rate_hz)
            self._wavs[side] = (file, writer)
            self._resamplers[side] = StreamResampler(rate_hz, rate_hz)
        writer, resampler = self._wavs[side][1], self._resamplers[side]
        if resampler.from_hz != rate_hz:  # the client has asked for another rate; a file has one
            tail = resampler.process(pcm[:0], last=True)
            resampler = self._resamplers[side] = StreamResampler(rate_hz, writer.getframerate())
            pcm = np.concatenate([tail, resampler.process(pcm)])
        else:
            pcm = resampler.process(pcm)
        writer.writeframes(pcm.astype("<i2").tobytes())

    def _close(self) -> None:
        for side, (file, writer) in self._wavs.items():
            try:
                writer.close()
            except OSError as error:
                self._stop(error.strerror or type(error).__name__)
            with suppress(OSError):  # the same, once more: it is closed all the same
                file.close()
            path = self.path.with_suffix(f".{side}.wav")
            with suppress(OSError):  # somebody has deleted it
                if self._stopped and path.stat().st_size <= WAV_HEAD_BYTES:
                    path.unlink()  # nothing found room in it
        self._wavs.clear()
        self._going.discard(self.path.stem)


def _bytes(lines: str) -> bytes:
    return lines.encode("utf-8", "replace")
