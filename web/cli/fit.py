"""`parley fit`: how much memory a model will take, and which context would fit."""

from __future__ import annotations

import argparse
from pathlib import Path

from web.cli.command import MODELS, Command

__all__ = ["SPEC"]


def _memory(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 40:
        raise argparse.ArgumentTypeError("MiB, more than 0")
    return int(text)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", type=Path, help="a .gguf file, a folder with safetensors, or the name of an installed model"
    )
    parser.add_argument("--ctx", type=int, default=0, metavar="N", help="context length, in tokens")
    parser.add_argument("--parallel", type=int, metavar="N", help="requests answered at the same time")
    parser.add_argument(
        "--kv-type", metavar="TYPE", help="type of the KV cache: auto (the default), f16, q8_0, q4_0, ..."
    )
    parser.add_argument(
        "--kv-budget-mib", type=int, metavar="N", help="memory for the KV cache of all conversations together"
    )
    parser.add_argument("--no-flash-attention", action="store_true", help="compute without flash attention")
    parser.add_argument("--memory-mib", type=_memory, metavar="N", help="pretend that this much memory is free")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the parley.toml to read (or PARLEY_CONFIG)")


def _run(arguments: argparse.Namespace) -> int:
    from llm.memory.fit import largest_context, predict
    from llm.memory.folder_fit import largest_folder_context, predict_encoder, predict_folder
    from llm.memory.learned import Learned, model_key
    from llm.memory.machine import HostMemory, host_memory
    from llm.workers.launch import changed_settings, keeps_wide
    from models.formats.dual_encoder import is_dual_encoder
    from models.formats.gguf import read_header
    from models.formats.safetensors import read_config, read_weights
    from models.store import Store
    from web.settings import Given, load
    from web.terminal.console import PlainConsole
    from web.terminal.fit_table import FitSubject, fit_table

    settings = load(Given(config=arguments.config))
    path = arguments.model.expanduser()
    if not path.exists():
        folders = [Path(folder).expanduser() for folder in settings.models.directories]
        path = Store(settings.home, folders).find(str(arguments.model)).path
    options = {
        "ctx_size": arguments.ctx or None,
        "parallel": arguments.parallel,
        "kv_cache_type": arguments.kv_type,
        "kv_budget_mib": arguments.kv_budget_mib,
        "flash_attention": False if arguments.no_flash_attention else None,
    }
    engine = changed_settings(
        settings.llm.engine, {name: value for name, value in options.items() if value is not None}
    )
    given = (arguments.memory_mib or 0) << 20
    host = HostMemory(given, given) if given else host_memory()
    learned = Learned(settings.home / "measured.json")
    if path.is_dir() and is_dual_encoder(path):
        found, weights = read_config(path), read_weights(path)
        ratio = learned.ratio(model_key(path, weights.size_bytes))
        fit, most = predict_encoder(weights), 0
        subject = FitSubject(path.name, found.architecture, weights.parameters, None)
    elif path.is_dir():
        found, weights, wide = read_config(path), read_weights(path), keeps_wide(path, engine)
        ratio = learned.ratio(model_key(path, weights.size_bytes))
        fit = predict_folder(found, weights, engine, host.total, wide=wide)
        most = largest_folder_context(found, weights, engine, host.total, host.available, ratio, wide=wide)
        subject = FitSubject(path.name, found.architecture, weights.parameters, found.context)
    else:
        header = read_header(path)
        ratio = learned.ratio(model_key(path, header.size_bytes))
        fit = predict(header, engine, host.total)
        most = largest_context(header, engine, host.total, host.available, ratio)
        subject = FitSubject(path.name, header.architecture, header.parameters, header.context_length)
    console = PlainConsole()
    console.print(fit_table(subject, fit, ratio, host, most))
    return 0 if fit.total * ratio <= host.available else 1


SPEC = Command(
    "fit",
    "show how much memory a language model will need",
    "Estimate the memory a model needs (weights, KV cache, compute buffer) from the file's header, corrected by what "
    "it used here before. The exit status is 1 if it does not fit into the free memory.",
    _configure,
    _run,
    MODELS,
)
