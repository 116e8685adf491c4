from __future__ import annotations

import pytest

from tests.web.moved_clock import MovedClock
from web.signin import CODE_LIFE_S, COOKIE_LIFE_S, SignInCodes, make_cookie, read_cookie


def test_a_code_works_once() -> None:
    codes = SignInCodes(MovedClock())
    code, other = codes.issue(), codes.issue()
    assert codes.redeem(code)
    assert not codes.redeem(code)
    assert codes.redeem(other)
    assert not codes.redeem("made up")


def test_a_code_ends_after_its_life() -> None:
    clock = MovedClock()
    codes = SignInCodes(clock)
    first = codes.issue()
    clock.seconds += CODE_LIFE_S - 1
    second = codes.issue()
    clock.seconds += 1
    assert not codes.redeem(first)
    assert codes.redeem(second)


def test_the_oldest_of_too_many_codes_goes() -> None:
    codes = SignInCodes(MovedClock())
    first, *others = [codes.issue() for _ in range(65)]
    assert not codes.redeem(first)
    assert all(codes.redeem(code) for code in others)


def test_a_cookie_is_ours_for_its_life_only() -> None:
    secret = b"s" * 32
    cookie = make_cookie(secret, 1_000_000)
    assert read_cookie(secret, cookie, 1_000_000) == cookie.split(".")[0]
    assert read_cookie(secret, cookie, 1_000_000 + COOKIE_LIFE_S - 1)
    assert read_cookie(secret, cookie, 1_000_000 + COOKIE_LIFE_S) is None
    assert read_cookie(secret, cookie, 1_000_000 - 24 * 3600), "the clock was set back"
    assert read_cookie(secret, cookie, 1_000_000 - 24 * 3600 - 1) is None
    assert read_cookie(b"t" * 32, cookie, 1_000_000) is None


@pytest.mark.parametrize("value", ["", ".", "..", "a.b", "a.1000000.x", "a.b.c.d", "\ud800.1.2", "a.1e9.\ud800"])
def test_a_made_up_cookie_is_not_ours(value: str) -> None:
    assert read_cookie(b"s" * 32, value, 1_000_000) is None


def test_a_cookie_cannot_be_made_younger() -> None:
    name, made, signature = make_cookie(b"s" * 32, 1_000_000).split(".")
    assert read_cookie(b"s" * 32, f"{name}.{int(made) + 5}.{signature}", 1_000_005) is None
