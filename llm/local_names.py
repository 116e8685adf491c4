"""What our own slots, all together, are called as one backend."""

from __future__ import annotations

__all__ = ["NAME", "UNNAMED"]

NAME = "local"
UNNAMED = "auto"
"""What the router asks for when the request named no model: then its content decides."""
