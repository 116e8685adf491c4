"""What models really took, kept over restarts: `{home}/measured.json`.

The sum of fit.py knows the file, not the machine: kernels that keep a second, rearranged copy of the weights, what a
driver takes. So each load is compared with its sum; the ratio corrects the next sum of that model, and how long the
load took is what unloading it costs. One ratio of all models stands in for one that was never loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import structlog

from models.whole_file import write_whole

__all__ = ["Learned", "Measurement", "model_key"]

KEPT = 500
"""Models; the ones measured longest ago are forgotten."""
LOWEST_RATIO, HIGHEST_RATIO = 0.5, 4.0
"""A measurement outside is of something else (a worker that shares its pages, a wrong file) and is cut to this."""
BYTES_PER_S = 500e6
"""A load that was never timed: a second for the process and so fast for the file."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Measurement:
    predicted_bytes: int
    used_bytes: int
    load_s: float = 0.0
    predicted_gpu_bytes: int = 0
    used_gpu_bytes: int = 0

    @property
    def ratio(self) -> float:
        return _cut(self.used_bytes / max(1, self.predicted_bytes))

    @property
    def gpu_ratio(self) -> float:
        return _cut(self.used_gpu_bytes / max(1, self.predicted_gpu_bytes))


def _cut(ratio: float) -> float:
    return min(HIGHEST_RATIO, max(LOWEST_RATIO, ratio))


def model_key(path: Path, size_bytes: int) -> str:
    """A model is the same while name and size are."""
    return f"{path.name}:{size_bytes}"


class Learned:
    """Reads the file once; `save` blocks on the disk, everything else does not. What is known is never changed but
    replaced: threads look into it (`save`, plans of loads) while the event loop measures.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Measurement] = _read(path)
        self._dirty = False

    def ratio(self, key: str) -> float:
        """What to multiply a sum with. 1.0 where nothing was ever measured; never below 1.0 for unknown models."""
        known = self._known.get(key)
        if known is not None and known.used_bytes:
            return known.ratio
        others = [measured.ratio for measured in self._known.values() if measured.used_bytes]
        return max(1.0, median(others)) if others else 1.0

    def gpu_ratio(self, key: str) -> float:
        """The same for what it takes of the GPUs."""
        known = self._known.get(key)
        if known is not None and known.used_gpu_bytes:
            return known.gpu_ratio
        others = [measured.gpu_ratio for measured in self._known.values() if measured.used_gpu_bytes]
        return max(1.0, median(others)) if others else 1.0

    def load_s(self, key: str, size_bytes: int) -> float:
        known = self._known.get(key)
        return known.load_s if known is not None and known.load_s else 1.0 + size_bytes / BYTES_PER_S

    def loaded(self, key: str, seconds: float) -> None:
        known = self._known.get(key, Measurement(0, 0))
        self._put(key, replace(known, load_s=round(seconds, 2)))

    def used(
        self, key: str, predicted_bytes: int, used_bytes: int, predicted_gpu_bytes: int = 0, used_gpu_bytes: int = 0
    ) -> None:
        """The most that was seen of one load. A larger prediction (another context) begins anew. `used_gpu_bytes` is
        0 where that could not be measured.
        """
        known = self._known.get(key, Measurement(0, 0))
        if (known.predicted_bytes, known.predicted_gpu_bytes) == (predicted_bytes, predicted_gpu_bytes):
            if used_bytes <= known.used_bytes * 1.01 and used_gpu_bytes <= known.used_gpu_bytes * 1.01:
                return
            used_bytes = max(used_bytes, known.used_bytes)
            used_gpu_bytes = max(used_gpu_bytes, known.used_gpu_bytes)
        measured = Measurement(predicted_bytes, used_bytes, known.load_s, predicted_gpu_bytes, used_gpu_bytes)
        self._put(key, measured)

    def save(self) -> None:
        """Whole or not at all. What cannot be written is lost without harm."""
        if not self._dirty:
            return
        self._dirty = False
        rows = {key: asdict(measured) for key, measured in self._known.items()}
        try:
            write_whole(self._path, json.dumps(rows, indent=1) + "\n", durable=False)
        except OSError as error:
            log.warning("measured.not_kept", reason=error.strerror)

    def _put(self, key: str, measured: Measurement) -> None:
        known = {other: kept for other, kept in self._known.items() if other != key}
        known[key] = measured
        while len(known) > KEPT:
            del known[next(iter(known))]
        self._known = known
        self._dirty = True


def _read(path: Path) -> dict[str, Measurement]:
    """What is damaged or from another version counts for nothing."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(rows, Mapping):
        return {}
    found = {}
    for key, row in rows.items():
        with suppress(TypeError, KeyError, ValueError, AttributeError):
            gpu = int(row.get("predicted_gpu_bytes", 0)), int(row.get("used_gpu_bytes", 0))
            host = int(row["predicted_bytes"]), int(row["used_bytes"])
            found[str(key)] = Measurement(*host, float(row["load_s"]), *gpu)
    return found
