"""Images and audio for a language model: llama.cpp's mtmd with the model's projector file (mmproj).

The slow part, the projector's own network, runs in the thread of the request that brought the image; one at a time,
for the projector is not made for more. What comes out waits in the request until the engine's thread puts it into
the KV cache. An image that comes again (the next turn of the conversation) is not computed again.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.mtmd_cpp as mtmd
import numpy as np
import numpy.typing as npt

from llm.batching.events import Limits, Media
from llm.convert.image_size import MOST_PIXELS, MOST_PIXELS_TOGETHER, pixels
from llm.convert.recording_length import MOST_S, is_recording, seconds
from llm.engine import Encoded, EncodedMedia, Prompt
from llm.errors import BackendFailed
from llm.llamacpp.library import native
from llm.llamacpp.reports import refusal
from llm.messages import AudioPart, ImagePart
from models.errors import BadInput, ModelUnreadable

__all__ = ["Projector"]

LOOK_EVERY = 16
"""Nodes of the projector's network between two looks whether anybody still waits for it."""
KEPT = 16
"""Images and recordings whose result is kept for the next turn."""
_TAKEN = "PNG, JPEG, GIF or BMP; WAV, MP3 or FLAC"
_NOWHERE = os.devnull.encode()
"""Where mtmd looks for ffmpeg."""
_SECOND_BYTES = 16_000 * 4
"""Of a recording that mtmd has read: f32 at 16 kHz."""
_TEXT, _IMAGE = 0, 1
"""enum mtmd_input_chunk_type; 2 is audio."""


@dataclass(eq=False)
class _Shown:
    """A piece of a prompt that is no text: mtmd's own description of it, and what the projector made of it."""

    chunk: Any
    vectors: npt.NDArray[np.float32]
    positions: int
    cells: int

    def __post_init__(self) -> None:
        weakref.finalize(self, mtmd.mtmd_input_chunk_free, self.chunk)


class Projector:
    """Raises ModelUnreadable for a file that does not fit the model."""

    def __init__(self, file: Path, model: Any, threads: int, limits: Limits) -> None:
        self._limits = limits
        self.marker = f"<__media_{secrets.token_hex(8)}__>"
        """Stands for an image in a prompt; nobody's text can contain it."""
        self._marker = self.marker.encode()
        params = mtmd.mtmd_context_params_default()
        params.print_timings = False
        params.n_threads = threads
        params.media_marker = self._marker
        params.warmup = False
        self._on_node = llama_cpp.ggml_backend_sched_eval_callback(self._goes_on)
        params.cb_eval = self._on_node
        context = mtmd.mtmd_init_from_file(str(file).encode(), model, params) if file.is_file() else None
        if not context:
            raise ModelUnreadable(
                f"{file.name} is not a projector for this model", hint="see the lines above in the worker's log"
            )
        self._context = context
        self._width: int = native.llama_model_n_embd_inp(model)
        self._options = mtmd.mtmd_helper_init_opt_default()
        self._options.video_params.ffmpeg_bin_dir = _NOWHERE
        self._lock = threading.Lock()
        self._given_up: Callable[[], bool] = lambda: False
        """Of the request whose media are being read."""
        self._nodes = 0
        self._kept: OrderedDict[tuple[bytes, int], _Shown] = OrderedDict()
        self.sees = bool(mtmd.mtmd_support_vision(context))
        self.hears = bool(mtmd.mtmd_support_audio(context))

    def close(self) -> None:
        with self._lock:
            context, self._context = self._context, None
            self._kept.clear()
            if context:
                mtmd.mtmd_free(context)

    def check(self, parts: Iterable[ImagePart | AudioPart]) -> None:
        """Raises BadInput for what this model has no sense for."""
        for part in parts:
            if isinstance(part, ImagePart) and not self.sees:
                raise BadInput("this model cannot handle images", param="messages")
            if isinstance(part, AudioPart) and not self.hears:
                raise BadInput("this model cannot handle audio", param="messages")
            if not part.data:
                raise BadInput("an image's address was not fetched", param="messages", hint="send a data: URL")

    def encode(self, prompt: Prompt, add_special: bool) -> Encoded:
        """Raises BadInput for what is no image or recording; BackendFailed if the projector fails."""
        with self._lock:
            if self._context is None:
                raise BackendFailed("the model is being unloaded")
            self._given_up = prompt.given_up
            _check_sizes(prompt.media)
            bitmaps: list[Any] = []
            chunks = mtmd.mtmd_input_chunks_init()
            try:
                bitmaps.extend(map(self._bitmap, prompt.media))
                self._split(prompt, bitmaps, add_special, chunks)
                count = mtmd.mtmd_helper_get_n_pos(chunks)
                if count > self._limits.context:  # the projector would work for minutes, and for nothing
                    raise refusal("too_long", self._limits, count)
                return self._read(chunks)
            finally:
                mtmd.mtmd_input_chunks_free(chunks)
                for bitmap in bitmaps:
                    mtmd.mtmd_bitmap_free(bitmap)

    def decode(self, context: Any, payload: Any, start: int, sequence: int, most: int) -> bool:
        """Put it into the KV cache, from position `start` on. The engine's thread."""
        assert isinstance(payload, _Shown)
        end = native.llama_pos(0)
        vectors = payload.vectors.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        no_callback = mtmd.mtmd_helper_post_decode_callback(0)
        code = mtmd.mtmd_helper_decode_image_chunk(
            self._context,
            context,
            payload.chunk,
            vectors,
            start,
            sequence,
            most,
            ctypes.byref(end),
            no_callback,
            None,
        )
        return bool(code == 0)

    def _bitmap(self, data: bytes) -> Any:
        """Only what is looked at here first: mtmd would give anything else to ffmpeg, and keep its process."""
        heard = is_recording(data)
        bitmap = None
        if (seconds(data) if heard else pixels(data)) is not None:
            buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
            bitmap = mtmd.mtmd_helper_bitmap_init_from_buf(self._context, buffer, len(data), False, self._options)
        if not bitmap:
            raise BadInput("an image or recording cannot be read", param="messages", hint=_TAKEN)
        if heard and mtmd.mtmd_bitmap_get_n_bytes(bitmap) > MOST_S * _SECOND_BYTES:
            mtmd.mtmd_bitmap_free(bitmap)
            raise _too_long()
        mtmd.mtmd_bitmap_set_id(bitmap, hashlib.sha256(data).hexdigest().encode())  # its pieces inherit it
        return bitmap

    def _split(self, prompt: Prompt, bitmaps: list[Any], add_special: bool, chunks: Any) -> None:
        data = prompt.text.encode("utf-8", "replace")
        text = mtmd.mtmd_input_text(text=data, text_len=len(data), add_special=add_special, parse_special=True)
        array = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
        code = mtmd.mtmd_tokenize(self._context, chunks, ctypes.byref(text), array, len(bitmaps))
        if code == 1:
            raise BadInput("the chat template of this model leaves images or audio out", param="messages")
        if code != 0:
            raise BadInput("an image or recording cannot be used by this model", param="messages")

    def _read(self, chunks: Any) -> Encoded:
        """An image may become several pieces (tiles), with text between them."""
        tokens: list[int] = []
        media: list[EncodedMedia] = []
        pieces: Counter[bytes] = Counter()
        for number in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, number)
            if mtmd.mtmd_input_chunk_get_type(chunk) == _TEXT:
                count = ctypes.c_size_t(0)
                found = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
                tokens.extend(found[: count.value])
                continue
            name = mtmd.mtmd_input_chunk_get_id(chunk) or b""
            shown = self._shown(chunk, (name, pieces[name]))
            mark = int.from_bytes(hashlib.sha256(b"%s-%d" % (name, pieces[name])).digest()[:8], "big")
            pieces[name] += 1
            media.append(EncodedMedia(Media(len(tokens), shown.positions, shown.cells), shown))
            tokens.extend(_stand_in(mark, position) for position in range(shown.positions))
        return Encoded(tokens, tuple(media))

    def _goes_on(self, _node: int | None, asked: bool, _data: int | None) -> bool:
        """ggml asks with `asked` before a node of the projector's network whether it shall stop there and ask again,
        without it whether to go on."""
        if asked:
            self._nodes += 1
            return self._nodes % LOOK_EVERY == 0
        return not self._given_up()

    def _shown(self, chunk: Any, key: tuple[bytes, int]) -> _Shown:
        """`key`: the file, and which of its pieces."""
        shown = self._kept.get(key)
        if shown is None:
            failed = self._given_up() or mtmd.mtmd_encode_chunk(self._context, chunk) != 0
            if self._given_up():
                raise BackendFailed("nobody waits for this image or recording any more")
            if failed:
                raise BackendFailed("the projector could not read an image or recording")
            cells = int(mtmd.mtmd_input_chunk_get_n_tokens(chunk))
            vectors = np.ctypeslib.as_array(mtmd.mtmd_get_output_embd(self._context), (cells, self._width)).copy()
            positions = int(mtmd.mtmd_input_chunk_get_n_pos(chunk))
            shown = self._kept[key] = _Shown(mtmd.mtmd_input_chunk_copy(chunk), vectors, positions, cells)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return shown


def _check_sizes(media: Sequence[bytes]) -> None:
    """Of all that would lie unpacked side by side. Raises BadInput."""
    images = [pixels(data) or 0 for data in media if not is_recording(data)]
    if max(images, default=0) > MOST_PIXELS:
        raise BadInput(f"an image has more than {MOST_PIXELS // 1_000_000} million pixels", param="messages")
    if sum(images) > MOST_PIXELS_TOGETHER:
        raise BadInput(
            f"the images have more than {MOST_PIXELS_TOGETHER // 1_000_000} million pixels together",
            param="messages",
            hint="send smaller or fewer images",
        )
    if sum(seconds(data) or 0 for data in media if is_recording(data)) > MOST_S:
        raise _too_long()


def _too_long() -> BadInput:
    return BadInput(f"recordings longer than {MOST_S // 60} minutes", param="messages", hint="send them in parts")


def _stand_in(mark: int, position: int) -> int:
    """A number below zero for a place in the prompt: the same for the same image, and for no other."""
    return -1 - (mark + position * 2654435761) % (2**31 - 2)
