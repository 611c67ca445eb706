"""`python -m friendli.cli`."""

from __future__ import annotations

import sys

from friendli.cli import main

sys.exit(main())
