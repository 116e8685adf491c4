"""Libraries that report to their makers which machine they run on, unless they are told not to: they are told."""

from __future__ import annotations

import os

__all__ = ["OFF", "silence_telemetry"]

OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime: when it is imported, also on Linux from 1.31 on
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by the library when it is loaded, here and in every process that is started from here."""


def silence_telemetry() -> None:
    """Before anything else is imported. Who has set one of them has decided for themselves."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
