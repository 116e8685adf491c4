"""What a Hugging Face folder, the settings and the machine's memory allow: limits and card of an engine. Pure."""

from __future__ import annotations

from llm.batching.events import Limits
from llm.engine import EngineCard, EngineConfig
from llm.llamacpp.plan import IDLE_SEQUENCES, IDLE_STATES, MOST_BUDGET_BYTES, MOST_CONTEXT
from llm.stepwise.port import StepModel
from llm.stepwise.text import FolderText
from models.formats.safetensors import ModelConfig

__all__ = ["card_of", "limits_of"]


def limits_of(config: EngineConfig, model: ModelConfig, memory_bytes: int, *, rewind: bool) -> Limits:
    settings = config.settings
    trained = model.context or settings.ctx_size or MOST_CONTEXT
    context = min(settings.ctx_size or MOST_CONTEXT, trained)
    places, voice = settings.parallel, settings.voice_places
    budget = settings.kv_budget_mib * 2**20 or min(MOST_BUDGET_BYTES, memory_bytes // 4)
    pool = max(context, min(context * (places + voice), budget // max(1, model.kv_bytes)))
    sequences = places + voice + (IDLE_SEQUENCES if rewind else IDLE_STATES)
    step = max(settings.batch_size, places + voice)
    return Limits(places, voice, sequences, context, pool, step, settings.queue, rewind=rewind)


def card_of(
    config: EngineConfig, found: ModelConfig, model: StepModel, text: FolderText, limits: Limits, size_bytes: int
) -> EngineCard:
    return EngineCard(
        name=config.name,
        context=limits.context,
        trained_context=found.context or limits.context,
        vocabulary=text.size,
        parameters=model.parameters,
        size_bytes=size_bytes,
        places=limits.places + limits.voice_places,
        description=found.model_type,
        chat_template=text.template.shown,
        bos=text.bos,
        eos=text.eos,
    )
