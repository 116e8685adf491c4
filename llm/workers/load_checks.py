"""Whether the options of an ordered load can work, before anything that runs is ended for them. Blocking.

What the settings file says is its owner's word and is not looked at here. What comes with an order comes over HTTP:
files it names are read only where they are what they are said to be, and a template, whose text can be read back from
the model's replies, only from folders for models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm.chat_template import ChatTemplate
from llm.engine_choice import choose_engine
from llm.llamacpp.adapter_fit import why_not
from llm.llamacpp.option_text import parse_lora, parse_shares
from llm.llamacpp.plan import value_type
from llm.memory.fit import MOST_SEQUENCES
from llm.settings import EngineSettings
from models.errors import BadInput, ModelUnreadable, SettingsError
from models.formats.gguf import GgufHeader, parts_of, read_header
from models.store import Installed

__all__ = ["check_options"]

TEMPLATE_SUFFIXES = (".jinja", ".jinja2", ".j2", ".txt")
MOST_TEMPLATE_BYTES = 256 << 10
"""The longest templates of known models have 30 KiB."""


def check_options(
    model: Installed, engine: EngineSettings, options: Mapping[str, Any], folders: Sequence[Path]
) -> None:
    """`engine` is the settings with `options` over them, `folders` are those for models. Raises BadInput that names
    the option and says what to do.
    """
    if model.kind in ("stt", "tts") and options:
        first = next(iter(options))
        hint = "recognisers and voices are set up in [voice]; leave it away"
        raise BadInput(f"{first} is for language models, and {model.name} is none", param=first, hint=hint)
    if "engine" in options:
        try:
            choose_engine(model.format, model.path, engine.engine)
        except ModelUnreadable as error:
            raise BadInput(error.message, param="engine", hint=error.hint) from None
    if "chat_template" in options and engine.chat_template:
        _check_template(
            Path(engine.chat_template), (*folders, model.path if model.path.is_dir() else model.path.parent)
        )
    if "state_dir" in options and engine.state_dir:
        raise BadInput(
            "state_dir cannot be ordered", param="state_dir", hint="the folder for states is set in [llm.engine]"
        )
    if "mmproj" in options and engine.mmproj:
        header = _header(Path(engine.mmproj), "mmproj")
        if header.kind != "projector":
            raise BadInput(
                f"{Path(engine.mmproj).name} is not a projector", param="mmproj", hint="name an mmproj file"
            )
    if model.format == "gguf":
        _check_gguf(model, engine, options)


def _check_gguf(model: Installed, engine: EngineSettings, options: Mapping[str, Any]) -> None:
    if engine.load_bits and "load_bits" in options:
        hint = "load a file that was made so, such as a Q4_K_M; load_bits is for folders with safetensors"
        raise BadInput("a GGUF file is not reduced while it is loaded", param="load_bits", hint=hint)
    if engine.parallel + engine.voice_places > MOST_SEQUENCES and {"parallel", "voice_places"} & set(options):
        hint = f"parallel and voice_places together: at most {MOST_SEQUENCES}"
        raise BadInput(f"llama.cpp answers at most {MOST_SEQUENCES} requests at once", param="parallel", hint=hint)
    if value_type(engine) not in ("f16", "bf16", "f32") and engine.flash_attention is False:
        hint = "leave flash_attention away, or set kv_cache_type_v to f16"
        raise BadInput("quantised values need flash attention", param="flash_attention", hint=hint)
    try:
        parse_shares(engine.tensor_split)
        adapters = parse_lora(engine.lora) if "lora" in options else []
    except SettingsError as error:
        hint = 'one number for each GPU, as "3,1"' if error.param == "tensor_split" else 'as "file.gguf=0.5"'
        raise BadInput(error.message, param=error.param, hint=hint) from None
    for path, _ in adapters:
        header = _header(path, "lora")
        if header.kind != "adapter":
            raise BadInput(
                f"{path.name} is not a LoRA adapter", param="lora", hint="name a GGUF file of type adapter"
            )
        own = [read_header(file) for file in parts_of(model.path)]
        if header.architecture != own[0].architecture:
            hint = f"{model.name} is a {own[0].architecture}"
            raise BadInput(f"{path.name} is an adapter for {header.architecture}", param="lora", hint=hint)
        if reason := why_not(header, own):
            hint = "name an adapter that was trained on this very model"
            raise BadInput(f"{path.name} is no adapter for {model.name}: {reason}", param="lora", hint=hint)


def _header(path: Path, option: str) -> GgufHeader:
    path = path.expanduser()
    try:
        if path.is_file():
            return read_header(path)
    except ModelUnreadable as error:
        raise BadInput(f"{path.name} cannot be used: {error.message}", param=option, hint=error.hint) from None
    raise BadInput(f"{option}: there is no file {path.name}", param=option, hint="give its whole path on the server")


def _check_template(path: Path, folders: Sequence[Path]) -> None:
    """The same words for a file that is not there and one that lies elsewhere: who asks learns nothing of them."""
    path = path.expanduser().resolve()
    names = ", ".join(TEMPLATE_SUFFIXES)
    inside = any(path.is_relative_to(folder.expanduser().resolve()) for folder in folders)
    if not inside or path.suffix.lower() not in TEMPLATE_SUFFIXES or not path.is_file():
        raise BadInput(
            "chat_template: no such template in a folder for models",
            param="chat_template",
            hint=f"put it beside the model or into the models folder, named {names}; elsewhere it may lie when "
            "[llm.engine] chat_template names it",
        )
    try:
        with path.open("rb") as file:
            source = file.read(MOST_TEMPLATE_BYTES + 1)
        text = source.decode("utf-8")
        if len(source) > MOST_TEMPLATE_BYTES or ("{{" not in text and "{%" not in text):
            raise ValueError("it holds no Jinja")
        ChatTemplate(text)
    except (OSError, ValueError, ModelUnreadable) as error:
        hint = "a chat template is Jinja, as in a model's tokenizer_config.json"
        raise BadInput(
            f"{path.name} is not a chat template: {error}"[:300], param="chat_template", hint=hint
        ) from None
