"""A notebook as the program of a run: written as a Python script beside it, in the run's own copy of the source.

Cells are run in their order, once, without a kernel. Magics and shell commands become comments; so do whole cells whose
magic does not run them as Python here (`%%bash`, `%%writefile`). `display` is IPython's where that is installed, else
`print`. Outputs are not used.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_sdk.environments.current import INTERPRETER_NAMES
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTEBOOK = ".ipynb"
MAX_NAMED = 5
_FORMAT = {"extension": ".py", "format_name": "percent", "comment_magics": True, "notebook_metadata_filter": "-all"}
_RUN_AS_PYTHON = frozenset({"time", "timeit", "capture", "prun"})
_CELL_MAGIC = re.compile(r"\s*%%(\w*)")
_COMMAND = re.compile(r"\s*(?:[A-Za-z_]\w*\s*=\s*)?(?:%{1,2}[A-Za-z]|!)")
_DISPLAY = """\
try:
    from IPython.display import display
except ImportError:
    display = print
"""


def notebook_place(entry_point: Sequence[str]) -> int | None:
    """Say which word of an entry point is a notebook that is to be run; None if it starts something else."""
    for place, word in enumerate(entry_point[:2]):
        if word.endswith(NOTEBOOK):
            return place
        if word not in INTERPRETER_NAMES:
            return None
    return None


def as_script(entry_point: Sequence[str], start: Path) -> tuple[tuple[str, ...], list[str]]:
    """Write the notebook that an entry point names as a script.

    Args:
        entry_point: the program and its own arguments.
        start: the folder that it starts in, of the run's copy of the source.

    Returns:
        The entry point of the script, and what its user should know; the same one and nothing if it is no notebook.

    Raises:
        NotFoundError: the notebook is not there, or jupytext is not installed.
        InvalidSpecError: it is no notebook, or one of another language.
    """
    place = notebook_place(entry_point)
    if place is None:
        return tuple(entry_point), []
    name = entry_point[place]
    text, commands = _converted(start / name, name)
    (start / f"{name}.py").write_text(text, encoding="utf-8")
    words = (*entry_point[:place], f"{name}.py", *entry_point[place + 1 :])
    return words, [_told(name, commands)] if commands else []


def _converted(path: Path, name: str) -> tuple[str, list[str]]:
    try:
        import jupytext
    except ImportError:
        raise NotFoundError(
            f"{name} is a notebook, and jupytext, which makes a script of it, is not installed here."
            " Install it where the run starts: pip install 'launch-sdk[notebook]'"
        ) from None
    if not path.is_file():
        there = ", ".join(sorted(one.name for one in path.parent.glob(f"*{NOTEBOOK}"))[:8]) or "no notebook"
        raise NotFoundError(f"Entry point {name} is not in the source. Its folder holds {there}.")
    library: Any = jupytext
    try:
        notebook: Any = library.read(path)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        cells = [str(cell["source"]) for cell in code]
        for cell, source in zip(code, cells, strict=True):
            cell["source"] = _commented(source) if _is_foreign(source) else source
        language = _language(notebook["metadata"])
        script = str(library.writes(notebook, fmt=_FORMAT)) if language == "python" else ""
    except Exception as error:  # noqa: BLE001  # what is no notebook fails in many ways
        raise InvalidSpecError("The entry point", [Fault(name, f"is no notebook that can be read: {error}")]) from None
    if language != "python":
        raise InvalidSpecError("The entry point", [Fault(name, f"is a notebook of {language}; only Python ones run")])
    display = "" if "from __future__" in script else _DISPLAY
    return display + script, [line.strip() for cell in cells for line in _commands(cell)]


def _language(metadata: Any) -> str:
    said = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    return str(said or "python").lower()


def _is_foreign(cell: str) -> bool:
    """Say whether the magic of a cell makes it anything but Python that is run here."""
    magic = _CELL_MAGIC.match(cell)
    return magic is not None and magic[1] not in _RUN_AS_PYTHON


def _commented(cell: str) -> str:
    return "\n".join(f"# {line}" for line in cell.splitlines())


def _commands(cell: str) -> list[str]:
    """Give the lines of a cell that only IPython understands; of a cell that is left out as a whole, its first."""
    if _is_foreign(cell):
        return [f"{cell.strip().splitlines()[0]} (the whole cell)"]
    return [line for line in cell.splitlines() if _COMMAND.match(line)]


def _told(name: str, commands: list[str]) -> str:
    shown = ", ".join(commands[:MAX_NAMED]) + (f" and {len(commands) - MAX_NAMED} more" if commands[MAX_NAMED:] else "")
    return f"launch: {name} runs as a script; these only IPython understands, and they are left out: {shown}"
