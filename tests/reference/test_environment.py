"""The facility that other tests compare through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reference.environment import OracleError, Reference

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.reference


def test_an_oracle_hands_its_result_back_as_a_file(reference: Reference, tmp_path: Path) -> None:
    script = tmp_path / "oracle.py"
    script.write_text("import sys, torch, transformers\nopen(sys.argv[1], 'w').write(torch.__version__)")
    reference.run(script, tmp_path / "version")
    assert (tmp_path / "version").read_text().startswith("2.13")


def test_a_failing_oracle_says_why(reference: Reference, tmp_path: Path) -> None:
    script = tmp_path / "oracle.py"
    script.write_text("raise RuntimeError('no such thing')")
    with pytest.raises(OracleError, match="no such thing"):
        reference.run(script)
