"""Sums, exactly: language models guess at them."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from models.clock import Clock
from voice.tools.spec import ToolFailed, ToolSpec

__all__ = ["SPEC"]

MAX_LENGTH = 200
MAX_POWER = 1000
MAX_DIGITS = 300
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[[float], float]] = {"sqrt": math.sqrt, "abs": abs, "round": round}


async def _run(arguments: Mapping[str, Any], clock: Clock) -> str:
    text = str(arguments.get("expression", ""))
    if not text or len(text) > MAX_LENGTH:
        raise ToolFailed(f"an expression of 1 to {MAX_LENGTH} characters is wanted")
    try:
        value = _value(ast.parse(text.replace("^", "**").replace("×", "*").replace("÷", "/"), mode="eval").body)
        if not math.isfinite(value):
            raise OverflowError
        return str(int(value)) if float(value).is_integer() else f"{value:.12g}"
    except ZeroDivisionError:
        raise ToolFailed("division by zero") from None
    except (SyntaxError, ValueError, OverflowError, TypeError, RecursionError, MemoryError):
        raise ToolFailed("this is no sum with numbers, + - * / // % ** and sqrt()") from None


def _value(node: ast.expr) -> Any:
    """The value of an arithmetic expression. Raises ValueError for anything else."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base, power = _value(left), _value(right)
            if (
                abs(power) > MAX_POWER
                or abs(base) > 10**MAX_DIGITS
                or abs(power) * math.log10(abs(base) + 1) > MAX_DIGITS
            ):
                raise OverflowError
            return base**power
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_value(argument))
    raise ValueError


SPEC = ToolSpec(
    "calculate",
    "Work out an arithmetic expression exactly.",
    {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "such as (17 + 4) * 2.5 or sqrt(2)"}},
        "required": ["expression"],
    },
    _run,
)
