"""Python, the packages, and the compiled libraries, each loaded for real in a process of its own.

In a process of its own, because a library built for another processor does not raise: it kills.
"""

from __future__ import annotations

import subprocess
import sys

from web.doctor.finding import Finding

__all__ = ["installation"]

_LOAD_S = 60.0

_PARTS = (
    ("llama.cpp (language models)", "llama_cpp", "import llama_cpp as m; "
     "m.llama_backend_init(); print(m.__version__)"),
    ("onnxruntime (voice activity, wake words)", "onnxruntime", "import onnxruntime as m; print(m.__version__)"),
    ("espeak-ng (speech)", "espeakng_loader", "import ctypes, espeakng_loader as m; "
     "ctypes.CDLL(m.get_library_path()); print('library loads')"),
    ("pocketsphinx (recognition)", "pocketsphinx", "import pocketsphinx as m; print(m.get_model_path() and 'loads')"),
    ("faster-whisper (recognition with a model)", "faster_whisper", "import faster_whisper as m; "
     "print(m.__version__)"),
    ("piper (speech with a model)", "piper", "import piper; print('loads')"),
    ("PyAV (sound formats)", "av", "import av as m; print(m.__version__)"),
    ("soxr (sample rates)", "soxr", "import soxr as m; print(m.__version__)"),
)  # fmt: skip


def installation() -> list[Finding]:
    """Takes some seconds: every library is loaded."""
    return [_python(), *(_loads(*part) for part in _PARTS)]


def _python() -> Finding:
    # An older Python than the packages allow never gets here.
    return Finding("ok", "Python", f"{'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}")


def _loads(subject: str, module: str, code: str) -> Finding:
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=_LOAD_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("fail", subject, f"does not load within {_LOAD_S:.0f} s", "is the machine very busy?")
    if done.returncode == 0:
        return Finding("ok", subject, done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "loads")
    if done.returncode < 0:
        return Finding(
            "fail",
            subject,
            f"crashes when it is loaded (signal {-done.returncode})",
            f"built for another processor? pip install --force-reinstall {module.replace('_', '-')}",
        )
    reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"
    return Finding("fail", subject, reason[:200], "`make install` installs what is missing")
