"""The server's language-model settings: `[llm]` and `[[backends]]` of parley.toml. Read once by web/settings.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from llm.port import BackendConfig
from llm.routing.router import Strategy
from models.errors import SettingsError

__all__ = ["EngineSettings", "KvCacheType", "LlmSettings", "Pooling", "RopeScaling", "SplitMode"]

KvCacheType = Literal["f16", "bf16", "f32", "q8_0", "q5_1", "q4_0"]
RopeScaling = Literal["auto", "none", "linear", "yarn", "longrope"]
SplitMode = Literal["none", "layer", "row"]
Pooling = Literal["auto", "mean", "cls", "last", "rank"]


_LOWEST = {
    "ctx_size": 0,
    "parallel": 1,
    "voice_places": 0,
    "queue": 0,
    "n_gpu_layers": -1,
    "threads": 0,
    "threads_batch": 0,
    "batch_size": 1,
    "ubatch": 1,
    "kv_budget_mib": 0,
    "states_mib": 0,
    "cache_ram_mib": 0,
    "draft_tokens": 0,
    "main_gpu": 0,
    "rope_freq_base": 0,
    "rope_freq_scale": 0,
    "rope_original_context": 0,
    "max_kv_size": 0,
    "tensor_parallel": 1,
    "gpu_memory_share": 0,
}

_HIGHEST = {
    "ctx_size": 2**24,
    "parallel": 4096,
    "voice_places": 4096,
    "queue": 1_000_000,
    "n_gpu_layers": 1_000_000,
    "threads": 512,
    "threads_batch": 512,
    "batch_size": 2**20,
    "ubatch": 2**20,
    "kv_budget_mib": 2**30,
    "cache_ram_mib": 2**20,
    "draft_tokens": 1024,
    "main_gpu": 63,
    "max_kv_size": 2**24,
    "tensor_parallel": 1024,
    "gpu_memory_share": 1,
}
"""Beyond it is a slip of the pen: no model reads 16 million tokens, ggml has 512 threads (GGML_MAX_N_THREADS)."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a worker loads and runs its model: `[llm.engine]`. 0 or None leaves the choice to the engine."""

    ctx_size: int = 0
    """Tokens one conversation may hold. 0: what the model was trained on, at most 8192. More than it was trained on
    only where rope scaling is asked for."""
    parallel: int = 8
    """Requests answered at the same time."""
    voice_places: int = 2
    """Places beside those that only voice turns may take."""
    queue: int = 64
    """Requests that may wait for a place; more are refused with Overloaded."""
    n_gpu_layers: int = -1
    """Layers on the GPU where the library has one; -1 is all of them."""
    threads: int = 0
    """For one token a step. 0: the machine's cores, at most 16."""
    threads_batch: int = 0
    """For prompts. 0: as `threads`."""
    batch_size: int = 512
    """Tokens in one step at most."""
    ubatch: int = 512
    """Tokens in one pass over the weights at most."""
    flash_attention: bool | None = None
    """None: where the library thinks it helps."""
    mlock: bool = False
    mmap: bool = True
    kv_cache_type: KvCacheType | Literal["auto"] = "auto"
    """auto: f16, or bf16 where the heads of a model are so small that a CPU computes with it much faster."""
    kv_budget_mib: int = 0
    """Memory for the keys and values of all conversations together; always at least one full conversation.
    0: a quarter of the machine's memory, at most 4096."""
    seed: int | None = None
    """For requests that bring none. None: a fresh one each time."""
    engine: str = "auto"
    """What runs the model: a name of llm/engines. auto: the best installed one for its format."""
    load_bits: int = 0
    """For transformers and MLX: weights are reduced to 4 or 8 bits while loading. 0: as they are."""
    max_kv_size: int = 0
    """For MLX: tokens that the cache of a conversation keeps at most; the oldest are dropped. 0: the context."""
    tensor_parallel: int = 1
    """For vLLM: GPUs that share the model."""
    gpu_memory_share: float = 0.0
    """For vLLM: how much of the GPU's memory it may take, 0 to 1. 0: its own choice."""
    kv_cache_type_v: KvCacheType | Literal["same"] = "same"
    """Of the values, where it differs from that of the keys; a quantised one needs flash attention."""
    offload_kqv: bool = True
    """The KV cache on the GPU, too."""
    main_gpu: int = 0
    split_mode: SplitMode = "layer"
    """How a model is spread over several GPUs."""
    tensor_split: str = ""
    """How much each GPU takes, as "3,1". "": by free memory."""
    rope_scaling: RopeScaling = "auto"
    """auto: as the file says."""
    rope_freq_base: float = 0.0
    rope_freq_scale: float = 0.0
    rope_original_context: int = 0
    """For yarn: the context before it was stretched. 0: as the file says."""
    lora: str = ""
    """LoRA adapters: "file.gguf=0.5, other.gguf"; the scale is 1 where none is given."""
    mmproj: str = ""
    """The file that turns images or audio into what the model reads. "": beside the model, if there is one."""
    pooling: Pooling = "auto"
    """How a text becomes one vector in /v1/embeddings. auto: as the file says, else mean."""
    draft_tokens: int = 0
    """Speculative decoding: so many tokens of a reply at most are guessed ahead, by what followed the same tokens
    before, and checked in one step, while nobody else is answered. 0: none."""
    state_dir: str = ""
    """Where conversations are kept while their model is in no slot, also over a restart of the server, and where
    /slots saves them. "": a folder of the server's own, which is emptied when it starts and when it ends."""
    states_mib: int = 1024
    """What these states may take on the disk, of all models together; the oldest go first. 0: none is kept."""
    cache_ram_mib: int = 512
    """Memory beside the cache at most, for conversations that nobody continues just now; never more than a 16th of
    the machine's, but for the first 256. It is given up before a model is refused. 0: they stay in the cache."""
    extra_buffers: bool | None = None
    """Whether weights may be rearranged for special instructions of the CPU. None: where that is known to help."""
    chat_template: str = ""
    """A Jinja file instead of the model's own template."""

    def __post_init__(self) -> None:
        """Raises SettingsError for numbers that no engine can work with."""
        for name, lowest in _LOWEST.items():
            if getattr(self, name) < lowest:
                raise SettingsError(f"[llm.engine] {name} must be at least {lowest}", param=name)
        for name, highest in _HIGHEST.items():
            if getattr(self, name) > highest:
                raise SettingsError(f"[llm.engine] {name} must be at most {highest}", param=name)
        if self.load_bits not in (0, 4, 8):
            raise SettingsError("[llm.engine] load_bits must be 0, 4 or 8", param="load_bits")


@dataclass(frozen=True, slots=True)
class LlmSettings:
    slots: int = 7
    """How many workers there may be; they have the ports slot_port_base to slot_port_base + slots - 1."""
    slot_port_base: int = 4801
    model: str = ""
    """What slot 1 loads: a name in the store, a path, "" for the best that is installed, "none" for nothing."""
    model_url: str = ""
    """Where `model` comes from if it is not there: owner/repo, owner/repo/file, a name of the catalogue or https://."""
    auto_download_model: bool = True
    """Fetch `model_url` at the start if its model is not in the store."""
    default_model: str = ""
    """What a request without a model gets: a slot's model, "backend/model", or "" for the first that is ready."""
    backends: tuple[BackendConfig, ...] = ()
    selection_strategy: Strategy = "failover"
    """Between backends of the same priority that have the model."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """{name: what it stands for}; several names with commas between them are tried in that order."""
    spill: bool = False
    """A prompt that is too long for our own slots may go to a server that no alias names. Aliases may always."""
    engine: EngineSettings = EngineSettings()
    preload: tuple[str, ...] = ()
    """Further models to load at the start, into the slots after the first."""
    load_on_demand: bool = True
    """Whether a request may load a model that is in the store and in no slot."""
    slot_queue: int = 256
    """Requests that may wait for a place in a slot, and as many voice turns; of one user half of them."""
    idle_unload_s: float = 0.0
    """A model that nobody asked for so long is unloaded, but never a pinned one; 0: never."""
    swap_patience_s: float = 10.0
    """A request for a model in no slot waits this long for a slot to be idle; then a busy one gets no more work."""
    memory_floor_mib: int = 0
    """Of the machine's memory models leave this much free. 0: a twentieth of it, at least 256."""
    start_timeout_s: float = 300.0
    """A model that is not loaded after this long is given up; no request waits longer for a place."""
    hang_timeout_s: float = 30.0
    """A worker that is alive but answers no health check for so long is ended and started again; 0: never."""
    ready_timeout_s: float = 60.0
    """A request that a worker had already taken waits at most this long for it to be started again."""
