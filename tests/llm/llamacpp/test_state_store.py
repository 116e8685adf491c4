"""States on disk: found by their beginning, checked, bounded, forgotten. Whole workers: test_state_swap.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm.llamacpp.state_store import MOST_AGE_S, StateStore, SwapFolder, forget_everywhere, sample_of

NOW = 1_000_000_000.0
MODEL, OTHER = "a" * 64, "b" * 64
LONG = list(range(100, 200))


def state_store(root: Path, model: str = MODEL, most: int = 1000, now: float = NOW) -> StateStore:
    return StateStore(root, model, most, now)


def put(on: StateStore, tokens: list[int], name: str | None = None, size: int = 100, now: float = NOW) -> bool:
    def save(file: Path) -> bool:
        file.write_bytes(os.urandom(size))
        os.utime(file, (NOW, NOW))
        return True

    return on.put(tokens, name, (), size, save, now)


def files(root: Path) -> list[str]:
    return sorted(path.suffix for path in root.rglob("*.*") if path.is_file() and path.name != ".lock")


class TestStateStore:
    def test_the_longest_beginning_is_found_by_the_next_life(self, tmp_path: Path) -> None:
        first = state_store(tmp_path)
        assert put(first, LONG[:40], "x") and put(first, LONG[:60] + [7], "y") and put(first, [1, *LONG])
        again = state_store(tmp_path)
        found = again.best(LONG, None, (), whole=False)
        assert found is not None and found.tokens == LONG[:60] + [7]
        whole = again.best(LONG, None, (), whole=True)
        assert whole is not None and whole.tokens == LONG[:40]
        assert again.best(LONG, None, ((1, 0.5),), whole=False) is None, "computed with other adapters"
        assert again.best([5, *LONG], None, (), whole=False) is None

    def test_among_equals_the_conversation_has_its_own(self, tmp_path: Path) -> None:
        on = state_store(tmp_path)
        for name in ("x", "y", "z"):
            put(on, [*LONG, ord(name)], name)
        found = on.best([*LONG, 1, 2], "y", (), whole=False)
        assert found is not None and found.tokens[-1] == ord("y")
        assert not any("y" in path.read_text() for path in tmp_path.rglob("*.json") if '"y"' in path.read_text())

    def test_a_state_is_taken_once(self, tmp_path: Path) -> None:
        on = state_store(tmp_path)
        put(on, LONG)
        entry = on.best([*LONG, 1], None, (), whole=False)
        assert entry is not None
        seen: list[int] = []

        def load(file: Path) -> bool:
            seen.append(file.stat().st_size)
            return True

        assert on.take(entry, load) and seen == [100] and on.restored == 1
        assert files(tmp_path) == [] and not len(on)

    @pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "note", "refused"])
    def test_what_is_damaged_is_never_loaded_and_removed(self, tmp_path: Path, damage: str) -> None:
        put(state_store(tmp_path), LONG)
        (state,), (note,) = list(tmp_path.rglob("*.kv")), list(tmp_path.rglob("*.json"))
        data = state.read_bytes()
        match damage:
            case "cut":
                state.write_bytes(data[:-1])
            case "flipped":
                state.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
            case "gone":
                state.unlink()
            case "note":
                note.write_text('{"tokens": "AAA')
        on = state_store(tmp_path)
        entry = on.best([*LONG, 1], None, (), whole=False)
        loaded: list[Path] = []
        if damage == "note":
            assert entry is None
        else:
            assert entry is not None and not on.take(entry, lambda file: bool(loaded.append(file)))
        assert bool(loaded) is (damage == "refused") and on.restored == 0
        assert files(tmp_path) == []

    def test_the_bound_is_for_all_models_and_the_oldest_go(self, tmp_path: Path) -> None:
        one, two = state_store(tmp_path), state_store(tmp_path, OTHER)
        assert all(put(one, [number, *LONG], size=300, now=NOW + number) for number in range(3))
        assert put(two, LONG, size=300, now=NOW + 9)
        assert not put(two, LONG, size=300, now=NOW), "never in place of what was used later"
        assert sum(path.stat().st_size for path in tmp_path.rglob("*.kv")) <= 1000
        left = state_store(tmp_path)
        assert left.best([0, *LONG, 1], None, (), whole=False) is None, "the oldest"
        assert left.best([2, *LONG, 1], None, (), whole=False) is not None
        assert not put(one, LONG, size=1001), "never what is larger than the whole bound"

    def test_another_model_sees_nothing(self, tmp_path: Path) -> None:
        put(state_store(tmp_path), LONG)
        assert state_store(tmp_path, OTHER).best([*LONG, 1], None, (), whole=False) is None

    def test_what_is_stale_or_broken_off_is_swept(self, tmp_path: Path) -> None:
        on = state_store(tmp_path)
        put(on, LONG, now=NOW)
        half = next(tmp_path.rglob("*.kv")).with_name("9.kv.part")
        half.write_bytes(b"half")
        os.utime(half, (NOW, NOW))
        foreign = tmp_path / "saved-by-hand"
        foreign.write_bytes(b"kept")
        state_store(tmp_path, OTHER, now=NOW + MOST_AGE_S - 1)
        assert files(tmp_path) == [".json", ".kv"]
        state_store(tmp_path, OTHER, now=NOW + MOST_AGE_S + 1)
        assert files(tmp_path) == [] and foreign.read_bytes() == b"kept"

    def test_a_conversation_that_is_forgotten_is_nowhere(self, tmp_path: Path) -> None:
        one, two = state_store(tmp_path), state_store(tmp_path, OTHER)
        put(one, LONG, "secret")
        put(two, LONG, "secret")
        put(two, LONG, "other")
        one.forget("secret")
        assert len(one) == 0
        forget_everywhere(tmp_path, "secret")
        assert files(tmp_path) == [".json", ".kv"]
        forget_everywhere(tmp_path / "none", "secret")

    def test_a_disk_that_refuses_costs_only_the_state(self, tmp_path: Path) -> None:
        on = state_store(tmp_path)
        assert not on.put(LONG, None, (), 10, lambda file: False, NOW)
        (tmp_path / MODEL[:32]).rmdir()
        (tmp_path / MODEL[:32]).write_bytes(b"a file is in the way")
        assert not put(on, LONG)

    def test_a_disk_that_is_nearly_full_is_left_alone(self, tmp_path: Path) -> None:
        assert not put(state_store(tmp_path, most=1 << 62), LONG, size=1 << 50)
        assert not list(tmp_path.rglob("*.kv"))


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    on = state_store(tmp_path)
    put(on, LONG, "x")
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert folder.stat().st_mode & 0o077 == 0
    assert next(folder.glob("*.json")).stat().st_mode & 0o077 == 0


async def test_the_folder_of_a_server_lives_as_long_as_it(tmp_path: Path) -> None:
    (tmp_path / "states" / ("c" * 32)).mkdir(parents=True)
    (tmp_path / "states" / ("c" * 32) / "1.kv").write_bytes(b"of a server that was killed")
    folder = SwapFolder(tmp_path / "states")
    async with folder.lives():
        assert list(folder.path.iterdir()) == [] and folder.path.stat().st_mode & 0o077 == 0
        on = state_store(folder.path)
        assert put(on, LONG, "x")
        await folder.forget("x")
        assert files(folder.path) == []
        folder.close()
        assert not put(on, LONG), "workers that end now write nothing"
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_told_from_one_with_other_weights(tmp_path: Path) -> None:
    data = bytearray(os.urandom(3 << 20))
    one, two = tmp_path / "a.gguf", tmp_path / "b.gguf"
    one.write_bytes(data)
    two.write_bytes(data)
    assert sample_of(one) == sample_of(two), "a copy is the same model"
    data[2 << 20 :] = os.urandom(1 << 20)
    two.write_bytes(data)
    assert sample_of(one) != sample_of(two)
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(data)
    before = sample_of(parts[0])
    parts[1].write_bytes(data[::-1])
    assert sample_of(parts[0]) != before
