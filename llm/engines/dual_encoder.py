"""CLIP, SigLIP and their kin with PyTorch: texts and images as vectors of one space. Code that lies in a model's
folder is never run.

A job is worked off in passes of a few inputs, and jobs take turns pass by pass: a thousand images hold up nobody.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm.convert.image_size import MOST_PIXELS, pixels
from llm.cores import cores
from llm.engine import (
    EmbedJob,
    Encoded,
    Engine,
    EngineCard,
    EngineConfig,
    EngineEvent,
    EngineSpec,
    Prompt,
    Sink,
)
from llm.errors import BackendFailed, ContextTooLong
from llm.vector_engine import VectorEngine
from models.errors import BadInput, ModelUnreadable
from models.formats.dual_encoder import is_dual_encoder
from models.formats.safetensors import read_weights

__all__ = ["SPEC", "DualEncoder", "DualEncoderEngine", "load"]

TEXTS, IMAGES = 32, 4
"""In one pass."""
MOST_JOBS = 512
MAX_FAILURES = 3
_IMAGE_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_PADDED = ("siglip", "siglip2")
"""They were trained with texts filled up to their full length, and look at the filling."""


class DualEncoder:
    """The model with its tokenizer and its way to cut images. Raises ModelUnreadable. `tokenize` from any thread, the
    rest from one.
    """

    def __init__(self, folder: Path, device: str) -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        self._torch, self._device = torch, device
        local: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), **local)
            self._processor: Any = AutoImageProcessor.from_pretrained(str(folder), **local)
            dtype = torch.float32 if device == "cpu" else torch.float16
            model = AutoModel.from_pretrained(str(folder), use_safetensors=True, dtype=dtype, **local)
        except Exception as error:  # the library's many kinds
            raise ModelUnreadable(f"{folder.name} cannot be loaded: {str(error)[:300]}") from error
        self._model: Any = model.to(device).eval()
        self._lock = threading.Lock()  # padding and truncation are state of the tokenizer
        text = model.config.text_config
        self.kind = str(model.config.model_type)
        self.context = int(text.max_position_embeddings)
        self.vocabulary = int(text.vocab_size)
        self.parameters = sum(int(weights.numel()) for weights in model.parameters())

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        with self._lock:
            return list(self._tokenizer(text, add_special_tokens=add_special, split_special_tokens=True)["input_ids"])

    def detokenize(self, tokens: Sequence[int]) -> str:
        if not all(0 <= token < self.vocabulary for token in tokens):
            raise BadInput(f"tokens of this model are numbers below {self.vocabulary}")
        return str(self._tokenizer.decode(list(tokens)))

    def texts(self, inputs: Sequence[Sequence[int]]) -> list[list[float]]:
        """None longer than `context`."""
        padded = self.kind in _PADDED
        width = self.context if padded else max(map(len, inputs))
        filling = self._tokenizer.pad_token_id or 0
        rows = [[*tokens, *[filling] * (width - len(tokens))] for tokens in inputs]
        given = {"input_ids": self._torch.tensor(rows, device=self._device)}
        if not padded:
            mask = [[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in inputs]
            given["attention_mask"] = self._torch.tensor(mask, device=self._device)
        return self._vectors(self._model.get_text_features, given)

    def pictures(self, files: Sequence[bytes]) -> list[list[float]]:
        """Raises BadInput for one that cannot be read."""
        cut = [self._processor(images=_picture(data), return_tensors="pt") for data in files]
        given = {name: self._torch.cat([one[name] for one in cut]).to(self._device) for name in cut[0]}
        floats = {
            name: values.to(self._model.dtype) if values.is_floating_point() else values
            for name, values in given.items()
        }
        return self._vectors(self._model.get_image_features, floats)

    def close(self) -> None:
        self._model = None

    def _vectors(self, features: Callable[..., Any], given: dict[str, Any]) -> list[list[float]]:
        with self._torch.inference_mode():
            found = features(**given)
            vectors = getattr(found, "pooler_output", found)
        rows: list[list[float]] = vectors.float().cpu().tolist()
        return rows


def _picture(data: bytes) -> Any:
    """Upright and in RGB. Raises BadInput."""
    from PIL import Image, ImageOps

    too_large = BadInput(f"an image has more than {MOST_PIXELS // 1_000_000} million pixels", param="input")
    if (pixels(data) or 0) > MOST_PIXELS:
        raise too_large
    try:
        with Image.open(io.BytesIO(data), formats=_IMAGE_KINDS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise too_large
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, Image.DecompressionBombError) as error:
        hint = f"{', '.join(_IMAGE_KINDS)} are read"
        raise BadInput("an image cannot be read", param="input", hint=hint) from error


@dataclass(slots=True)
class _Work:
    job: EmbedJob
    vectors: list[list[float]] = field(default_factory=list)

    def next(self) -> tuple[list[int], bool]:
        """Places of the next pass, all texts or all images."""
        first = len(self.vectors)
        pictured = first in self.job.images
        last = first + 1
        while last < len(self.job.inputs) and last - first < (IMAGES if pictured else TEXTS):
            if (last in self.job.images) is not pictured:
                break
            last += 1
        return list(range(first, last)), pictured


class DualEncoderEngine(VectorEngine):
    """An Engine."""

    def __init__(self, config: EngineConfig, model: DualEncoder) -> None:
        super().__init__(MOST_JOBS)
        self._model = model
        self._jobs: deque[_Work] = deque()
        self._failures = 0
        (first,) = model.texts([model.tokenize("a", add_special=True)])  # the first pass is slow
        self.card = EngineCard(
            name=config.name,
            context=model.context,
            trained_context=model.context,
            vocabulary=model.vocabulary,
            parameters=model.parameters,
            size_bytes=read_weights(config.model).size_bytes,
            places=1,
            description=model.kind,
            generates=False,
            dimensions=len(first),
            embeds_images=True,
        )

    def encode(self, prompt: Prompt) -> Encoded:
        return Encoded(self.tokenize(prompt.text, add_special=True, parse_special=True))

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """What looks like a special token is text: these models have no roles to write."""
        return self._model.tokenize(text, add_special=add_special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._model.detokenize(tokens)

    def pair(self, query: str, document: str) -> list[int]:
        raise BadInput("this model cannot rerank", hint="load a rerank model")

    # ---- the engine's thread ---------------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        return len(self._jobs)

    def _accept(self, job: EmbedJob) -> EngineEvent | None:
        longest = max(map(len, job.inputs), default=0)
        if longest > self.card.context:
            text = f"a text of {longest} tokens; {self.card.name} reads {self.card.context}"
            return EngineEvent(job.id, error=ContextTooLong(text, hint="shorten it", param="input"))
        self._jobs.append(_Work(job))
        return None

    def _drop(self, job_id: int) -> None:
        self._jobs = deque(work for work in self._jobs if work.job.id != job_id)

    def _free(self) -> None:
        self._model.close()

    def _step(self, sink: Sink) -> None:
        work = self._jobs.popleft()
        places, pictured = work.next()
        job = work.job
        try:
            if pictured:
                work.vectors += self._model.pictures([job.images[place] for place in places])
            else:
                work.vectors += self._model.texts([job.inputs[place] for place in places])
        except BadInput as error:
            sink([EngineEvent(job.id, error=error)])
            return
        except Exception as error:  # out of memory, for one: this request ends, others go on
            self._failures += 1
            hint = "see the worker's log"
            sink([EngineEvent(job.id, error=BackendFailed("the model could not compute this request", hint=hint))])
            if self._failures >= MAX_FAILURES:
                raise RuntimeError(f"the model failed {MAX_FAILURES} times in a row: {error}") from error
            return
        self._failures = 0
        if len(work.vectors) < len(job.inputs):
            self._jobs.append(work)
        else:
            sink([EngineEvent(job.id, vectors=tuple(work.vectors))])


def load(config: EngineConfig) -> Engine:
    """Takes seconds. Raises ModelUnreadable."""
    import torch

    settings = config.settings
    torch.set_num_threads(settings.threads or min(torch.get_num_threads(), cores()))
    config.on_progress(0.1)
    gpu = torch.cuda.is_available() and settings.n_gpu_layers != 0
    model = DualEncoder(config.model, "cuda" if gpu else "cpu")
    config.on_progress(0.9)
    return DualEncoderEngine(config, model)


def _fitness(model: Path) -> int:
    there = all(find_spec(name) is not None for name in ("torch", "transformers", "PIL"))
    return 10 if there and is_dual_encoder(model) else 0


SPEC = EngineSpec(
    "dual_encoder",
    load,
    ("dual_encoder",),
    "CLIP, SigLIP and their kin with PyTorch",
    _fitness,
    extra="transformers",
)
