"""Tables for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER_FOLDED = frozenset({"run", "sweep", "job", "queue", "agent", "field", "input"})


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows below headings; values may fold, names do not."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from launch_sdk.cli.sweep_view import UNLIMITED_WIDTH

    table = Table(header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading in NEVER_FOLDED, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    width = None if sys.stdout.isatty() else UNLIMITED_WIDTH  # a file or a pipe has no edge to fold at
    Console(file=sys.stdout, width=width).print(table)
