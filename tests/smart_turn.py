"""Where the Smart Turn model lies, if this environment has one: `make test` puts it beside the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from voice.turn_detection.smart_turn import find_model

__all__ = ["MODEL", "WHY_NOT"]

_FOLDER = Path(os.environ.get("PARLEY_TEST_SMART_TURN") or Path(sys.prefix) / "smart-turn")

MODEL = find_model((_FOLDER,))
WHY_NOT = f"no Smart Turn model in {_FOLDER} (PARLEY_TEST_SMART_TURN names another folder)"
