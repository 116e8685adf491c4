"""Everything of one loaded model that is native: weights, KV cache, projector, adapters, files with states."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from llm.batching.events import Limits, Row
from llm.engine import EncodedMedia, EngineCard, EngineConfig
from llm.llamacpp import states
from llm.llamacpp.adapters import LoraSet
from llm.llamacpp.compute_threads import ComputeThreads
from llm.llamacpp.decoder import Decoder
from llm.llamacpp.embedder import Embedder, EmbedQueue
from llm.llamacpp.library import native, threads
from llm.llamacpp.media import Projector
from llm.llamacpp.model import load_model, on_cpu
from llm.llamacpp.offloading import OffloadedSequences
from llm.llamacpp.option_text import parse_lora
from llm.llamacpp.plan import settled
from llm.llamacpp.prompts import Prompts
from llm.llamacpp.state_store import StateStore, sample_of
from llm.llamacpp.vocab import Vocab
from llm.workers.projectors import find_projector
from models.formats.gguf import GgufHeader

__all__ = ["Loaded", "load_all"]

_log = structlog.get_logger(__name__)


class Loaded:
    """Made by `load_all`; used by the engine's thread alone, but for `vocab` and `prompts`."""

    def __init__(self, config: EngineConfig, header: GgufHeader, model: Any, limits: Limits) -> None:
        settings = config.settings
        self._model = model
        self.limits = limits
        self.vocab = Vocab(model)
        file = find_projector(config.model, settings.mmproj)
        self.projector = None if file is None else Projector(file, model, threads(settings.threads_batch), limits)
        self.prompts = Prompts(header, self.vocab, settings.chat_template, self.projector)
        self.lora = LoraSet(model, settings.lora)
        self._compute_threads = ComputeThreads(config.clock.now)
        self.decoder = Decoder(model, settings, limits, self._compute_threads)
        self.offloaded = OffloadedSequences(self.decoder.context)
        embedder = Embedder(model, settings, header, self._compute_threads, alone=False)
        self.embeds = EmbedQueue(embedder)
        self._embedder = embedder
        self.state_store = _state_store(config, limits)
        self.card = EngineCard(
            name=config.name,
            context=limits.context,
            trained_context=header.context_length or limits.context,
            vocabulary=self.vocab.size,
            parameters=header.parameters,
            size_bytes=header.size_bytes,
            places=limits.places + limits.voice_places,
            description=header.architecture,
            dimensions=embedder.dimensions,
            sees=self.projector is not None and self.projector.sees,
            hears=self.projector is not None and self.projector.hears,
            chat_template=self.prompts.template.shown,
            bos=self.vocab.bos(),
            eos=self.vocab.eos(),
            adapters=self.lora.cards,
        )

    def close(self) -> None:
        self._embedder.close()
        if self.projector is not None:
            self.projector.close()
        self.decoder.close()
        self._compute_threads.close()
        model, self._model = self._model, None
        if model:
            native.llama_model_free(model)

    def show(self, media: EncodedMedia, row: Row) -> bool:
        """Put an image or recording into the KV cache."""
        assert self.projector is not None, "a prompt with media was encoded by it"
        most = self.limits.step_tokens
        return self.projector.decode(self.decoder.context, media.payload, row.start, row.sequence, most)

    # ---- states ----------------------------------------------------------------------------------------------

    def state_size(self, sequence: int) -> int:
        return states.size_of(self.decoder.context, sequence)

    def load_state(self, sequence: int, file: Path, most: int) -> list[int] | None:
        return states.load_sequence(self.decoder.context, sequence, file, most) if most > 0 else None

    def save_state(self, sequence: int, tokens: list[int], file: Path) -> bool:
        return states.save_sequence(self.decoder.context, sequence, tokens, file)


def _state_store(config: EngineConfig, limits: Limits) -> StateStore | None:
    """None where nothing is to be kept. A disk that cannot be used costs only the keeping."""
    settings = config.settings
    root = Path(settings.state_dir).expanduser() if settings.state_dir else config.states
    if root is None or not settings.states_mib:
        return None
    try:
        mark = _mark(config, limits)
        if settings.state_dir:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return StateStore(root, mark, settings.states_mib << 20, config.clock.wall().timestamp())
    except OSError as error:
        _log.warning("states.none", reason=error.strerror)
        return None


def _mark(config: EngineConfig, limits: Limits) -> str:
    """Tells this model, and everything that its keys and values depend on, from any other. Raises OSError."""
    settings = config.settings
    projector = find_projector(config.model, settings.mmproj)
    rope = (settings.rope_scaling, settings.rope_freq_base, settings.rope_freq_scale, settings.rope_original_context)
    files = [path for path, _ in parse_lora(settings.lora)]
    parts = (
        *(sample_of(file) for file in (config.model, *([projector] if projector else []), *files)),
        *(settings.kv_cache_type, settings.kv_cache_type_v, settings.lora, settings.flash_attention, *rope),
        *(limits.context, version("llama-cpp-python")),
    )
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()


def load_all(config: EngineConfig, header: GgufHeader) -> Loaded:
    """Takes seconds to minutes. Raises ModelUnreadable."""
    model, limits = load_model(config, header)
    config = replace(config, settings=settled(config.settings, header, on_cpu(config.settings)))
    loaded = Loaded(config, header, model, limits)
    loaded.decoder.warm_up(loaded.vocab.first_token())
    return loaded
