"""From a model to the command line of the worker that serves it, and to what that will cost.

Language models and embedding models run in `llm.worker`. What other kinds of model need is told by the layer that
knows them: the pool is handed a Launcher for each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from llm.engine_choice import choose_engine
from llm.memory.cards import Cards, Division
from llm.memory.fit import FitSum, predict
from llm.memory.folder_fit import predict_encoder, predict_folder
from llm.memory.learned import Learned, model_key
from llm.memory.machine import gpus
from llm.routing.abilities import Abilities
from llm.settings import EngineSettings
from llm.slots.events import Need
from llm.workers.projectors import Modalities, find_projector, modalities_of
from models.errors import BadInput, ModelUnreadable, SettingsError
from models.formats.gguf import read_header
from models.formats.port import Kind
from models.formats.safetensors import read_config, read_weights
from models.store import Installed

__all__ = [
    "Launch",
    "Launcher",
    "ModelType",
    "Plan",
    "changed_settings",
    "engine_arguments",
    "folder_fit",
    "keeps_wide",
    "plain_names",
    "plan_for",
    "quick_type",
    "type_of",
]

ModelType = Literal["text", "vision", "omni", "embedding", "vision-embedding", "rerank", "audio", "tts"]
_TYPES: Mapping[Kind, ModelType] = {
    "llm": "text",
    "embedding": "embedding",
    "rerank": "rerank",
    "stt": "audio",
    "tts": "tts",
}
_OTHER_NAMES = {"gpu_layers": "n_gpu_layers", "context_size": "ctx_size", "n_ctx": "ctx_size"}
"""What people call these settings elsewhere."""
_GROWTH = 1.3
_SPEECH_BYTES = 250 << 20
"""Recognisers and voices: the file with what loading adds, and the libraries. Measuring corrects it."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started; `--port` is added."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    places: int = 8
    voice_places: int = 2


Launcher = Callable[[Installed], Launch]
"""Raises a ParleyError for a model that no engine reads."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A model as it is to be loaded. `key` is what its measurements are kept under, `options` what was ordered. Two
    plans are equal when their workers would be: what they are expected to take is no part of that.
    """

    model: Installed
    type: ModelType
    launch: Launch
    need: Need = field(compare=False)
    key: str
    predicted_bytes: int = field(compare=False)
    predicted_gpu_bytes: int = field(default=0, compare=False)
    context: int | None = None
    fit: FitSum | None = field(default=None, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    ordered: bool = field(default=False, compare=False)
    """For a load by name, and not for a request."""

    @property
    def able(self) -> Abilities:
        match self.type:
            case "text":
                return {"vision": False, "audio": False}
            case "vision":
                return {"vision": True, "audio": False}
            case "omni":
                return {"audio": True}
            case "vision-embedding":
                return {"embedding": True, "vision": True}
            case _:
                return {}


def type_of(model: Installed, modalities: Modalities | None = None) -> ModelType | None:
    """`modalities`: of a language model with a projector file. None: not a model that a slot can hold."""
    if model.kind == "llm" and modalities is not None:
        return "omni" if modalities.audio else "vision"
    if model.format == "dual_encoder":
        return "vision-embedding"
    return _TYPES.get(model.kind)


def quick_type(model: Installed) -> ModelType | None:
    """As `type_of`, with the projector that lies beside the model, if any. Blocking."""
    projector = find_projector(model.path, "") if model.kind == "llm" else None
    try:
        return type_of(model, None if projector is None else modalities_of(projector))
    except ModelUnreadable:
        return type_of(model)


def plain_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Under the names of EngineSettings."""
    return {_OTHER_NAMES.get(given, given): value for given, value in options.items()}


def changed_settings(engine: EngineSettings, options: Mapping[str, Any]) -> EngineSettings:
    """The settings with a request's options over them. Raises BadInput that names the option."""
    known = get_type_hints(EngineSettings)
    changes: dict[str, Any] = {}
    for given, value in options.items():
        name = _OTHER_NAMES.get(given, given)
        if name not in known:
            raise BadInput(f"{given} is not an option of a slot", param=given, hint=f"there are: {', '.join(known)}")
        if not _fits(known[name], value):
            choices = get_args(known[name]) if get_origin(known[name]) is Literal else ()
            hint = f"one of {', '.join(map(str, choices))}" if choices else None
            raise BadInput(f"{given} cannot be {value!r:.80}", param=given, hint=hint)
        changes[name] = value
    try:
        return replace(engine, **changes)
    except SettingsError as error:
        hint = "docs/configuration.md lists every setting with its default; without it the engine chooses"
        raise BadInput(error.message, param=error.param, hint=hint) from None


def _fits(hint: Any, value: object) -> bool:
    """`hint` is a plain type, a Literal, or a union of these."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if parts := get_args(hint):
        return any(_fits(part, value) for part in parts)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint


def plan_for(
    model: Installed,
    settings: EngineSettings,
    options: Mapping[str, Any],
    launchers: Mapping[Kind, Launcher],
    learned: Learned,
    memory_bytes: int,
    cards: Cards = (),
) -> Plan:
    """Reads the model's header: blocking. `cards`: the sizes of the GPUs. Raises ModelUnreadable, BadInput."""
    engine = changed_settings(settings, options)
    projector = find_projector(model.path, engine.mmproj) if model.kind == "llm" else None
    modalities = None if projector is None else modalities_of(projector)
    kind = type_of(model, modalities)
    if kind is None:
        raise BadInput(f"{model.name} is a model for {model.kind}, and no slot can hold that", param="model_path")
    key = model_key(model.path, model.size_bytes)
    if not model.path.exists():
        raise ModelUnreadable(f"{model.path.name} is gone", hint=f"{model.path} was there when it was listed")
    context, fit = None, None
    predicted = int(model.size_bytes * _GROWTH) + _SPEECH_BYTES
    if model.format == "gguf":
        header = read_header(model.path)
        fit = predict(header, engine, memory_bytes)
        context = fit.context
        predicted = fit.total + model.size_bytes - header.size_bytes  # the other parts of a split file
        predicted += int(modalities.size_bytes * _GROWTH) if modalities else 0
    elif model.format == "safetensors":
        fit = folder_fit(model.path, engine, memory_bytes)
        context, predicted = fit.context, fit.total
    elif model.format == "dual_encoder":
        predicted = predict_encoder(read_weights(model.path)).total
    division = Division(predicted)
    if model.kind in launchers:
        launch = launchers[model.kind](model)
    else:
        spec = choose_engine(model.format, model.path, engine.engine)
        launch = _language_model(model, replace(engine, engine=spec.name))
        if fit is not None:
            division = spec.divide(replace(fit, weights=fit.weights + predicted - fit.total), engine, cards)
    need = Need(
        bytes=int(division.host * learned.ratio(key)),
        gpu_bytes=int(division.gpu * learned.gpu_ratio(key)),
        shares=division.shares,
        load_s=learned.load_s(key, model.size_bytes),
        places=launch.places,
        voice_places=launch.voice_places,
        cache_ram_bytes=fit.cache_ram if fit is not None and not division.gpu else 0,
    )
    return Plan(
        model,
        kind,
        launch,
        need,
        key,
        predicted_bytes=division.host,
        predicted_gpu_bytes=division.gpu,
        context=context,
        fit=fit,
        options=dict(options),
    )


def folder_fit(folder: Path, engine: EngineSettings, memory_bytes: int) -> FitSum:
    """The sum of a Hugging Face folder with the engine it would get. Blocking. Raises ModelUnreadable."""
    wide = keeps_wide(folder, engine)
    return predict_folder(read_config(folder), read_weights(folder), engine, memory_bytes, wide=wide)


def keeps_wide(folder: Path, engine: EngineSettings) -> bool:
    """Whether this machine would keep everything in 32 bit: transformers without a GPU. Where no engine is installed
    yet, as if it were MLX or vLLM.
    """
    try:
        name = choose_engine("safetensors", folder, engine.engine).name
    except ModelUnreadable:
        return False
    return name == "transformers" and (engine.n_gpu_layers == 0 or not gpus())


def _language_model(model: Installed, engine: EngineSettings) -> Launch:
    argv = [sys.executable, "-m", "llm.worker", "--model", str(model.path), "--name", model.name]
    return Launch((*argv, *engine_arguments(engine)), {}, engine.parallel, engine.voice_places)


def engine_arguments(engine: EngineSettings) -> tuple[str, ...]:
    """The command line of a worker for what differs from the defaults: --ctx-size 4096 --mlock true ..."""
    plain = EngineSettings()
    arguments: list[str] = []
    for name in EngineSettings.__dataclass_fields__:
        value = getattr(engine, name)
        if value != getattr(plain, name):
            arguments += [f"--{name.replace('_', '-')}", _written(value)]
    return tuple(arguments)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
