"""What is said in a terminal conversation: sound files, typed lines, or the microphone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from web.talk.clip import Clip
from web.talk.conversation import FRAME_S, Conversation
from web.talk.devices import microphone

__all__ = ["Clips", "Lines", "Microphone"]


@dataclass(frozen=True, slots=True)
class Clips:
    """Files of one rate, one after the other. As with a microphone, silence follows until the answer is over."""

    clips: Sequence[Clip]

    async def speak(self, talk: Conversation) -> None:
        for clip in self.clips:
            talk.screen.note(f"{clip.path.name}: {clip.seconds:.1f} s at {clip.rate_hz} Hz")
            before = talk.outcomes
            length = round(clip.rate_hz * FRAME_S)
            for start in range(0, len(clip.pcm), length):
                await talk.send_frame(clip.pcm[start : start + length].astype("<i2").tobytes())
            spoken_s = talk.now_s
            silence = np.zeros(length, "<i2").tobytes()
            while not talk.settled(before, spoken_s):
                await talk.send_frame(silence)


@dataclass(frozen=True, slots=True)
class Lines:
    """Typed turns, each after the answer to the one before."""

    lines: Sequence[str]

    async def speak(self, talk: Conversation) -> None:
        for line in self.lines:
            before, sent_s = talk.outcomes, talk.now_s
            await talk.send_text(line)
            while not talk.settled(before, sent_s):
                await talk.rest()


@dataclass(frozen=True, slots=True)
class Microphone:
    """The default microphone, until the conversation is cancelled."""

    rate_hz: int

    async def speak(self, talk: Conversation) -> None:
        async with microphone(self.rate_hz, round(self.rate_hz * FRAME_S)) as frames:
            talk.screen.note("speak; Ctrl-C ends")
            async for frame in frames:
                await talk.send_live(frame)
