"""How much KV a model keeps room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from friendli_endpoint.errors import ModelError
from friendli_endpoint.model import memory

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 8 GiB free; its control group's files may be written to the folder that is returned."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("context", "tokens"),
    [
        (4096, 4096 * 32),  # 32 contexts take less than a quarter
        (16384, 2 * GIB // 8192),  # a quarter
        (GIB // 2048, GIB // 2048),  # one context is more than a quarter, less than three
        (GIB, 6 * GIB // 8192),  # one context does not fit
    ],
)
def test_the_default_is_bounded_by_memory_and_contexts(context: int, tokens: int) -> None:
    assert memory.kv_tokens(None, 8192, context) == tokens


@pytest.mark.usefixtures("machine")
def test_what_is_asked_for_is_given_as_far_as_memory_goes() -> None:
    assert memory.kv_tokens(8 * GIB // 8192, 8192, 1) == 8 * GIB // 8192
    for wanted in (0, -5, 8 * GIB // 8192 + 1):
        with pytest.raises(ModelError, match=f"there is memory for 1 to 1048576 tokens of KV, not for {wanted}"):
            memory.kv_tokens(wanted, 8192, 1)


def test_a_control_group_bounds_what_is_free(machine: Path) -> None:
    assert memory.free_bytes() == 8 * GIB
    (machine / "memory.max").write_text("max\n")
    (machine / "memory.current").write_text(f"{GIB}\n")
    assert memory.free_bytes() == 8 * GIB
    (machine / "memory.max").write_text(f"{3 * GIB}\n")
    assert memory.free_bytes() == 2 * GIB


def test_a_system_that_does_not_say_is_taken_to_have_a_little(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert memory.free_bytes() == memory.UNKNOWN
