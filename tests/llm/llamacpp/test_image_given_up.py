"""An image that nobody waits for any more is read no further, and what comes after it is read as ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from llm.batching.events import Limits
from llm.engine import Encoded, Prompt
from llm.errors import BackendFailed
from llm.llamacpp.media import Projector
from tests.llm.tiny_parts import png, write_projector
from tests.llm.worker_process import model_path

LIMITS = Limits(places=1, voice_places=0, sequences=1, context=512, pool=512, step_tokens=64, queue=4)


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    found = llama_cpp.llama_model_load_from_file(str(model_path()).encode(), llama_cpp.llama_model_default_params())
    yield found
    llama_cpp.llama_model_free(found)


@pytest.fixture
def projector(model: Any, tmp_path: Path) -> Iterator[Projector]:
    width = llama_cpp.llama_model_n_embd(model)
    found = Projector(write_projector(tmp_path / "mmproj.gguf", width), model, 1, LIMITS)
    yield found
    found.close()


def vectors(encoded: Encoded) -> np.ndarray[Any, Any]:
    return np.array(encoded.media[0].payload.vectors)


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_it_is_read_no_further(projector: Projector, looks: int) -> None:
    asked = 0

    def given_up() -> bool:
        nonlocal asked
        asked += 1
        return asked > looks

    picture = png(200, 30, 30)
    with pytest.raises(BackendFailed, match="nobody waits"):
        projector.encode(Prompt(projector.marker, media=(picture,), given_up=given_up), True)
    assert looks < asked < looks + 4, "it ends at the next look"
    other = vectors(projector.encode(Prompt(projector.marker, media=(png(1, 2, 3),)), True))
    again = vectors(projector.encode(Prompt(projector.marker, media=(picture,)), True))
    assert np.isfinite(again).all() and not np.allclose(again, other, atol=1e-3), "nothing of the broken one was kept"


def test_who_still_waits_gets_all_of_it(projector: Projector) -> None:
    picture = png(10, 200, 30)
    asked = Prompt(projector.marker, media=(picture,), given_up=lambda: False)
    assert vectors(projector.encode(asked, True)).shape[0] == 4
