"""`launch RUN`: what an earlier run was, so that it can be run again with exactly the code that it had."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from launch_sdk.cli.code_rows import described
from launch_sdk.cli.kept_runs import directory_of, kept_run, wait_for_capture, why_no_code
from launch_sdk.errors import Fault, InvalidSpecError, NotFoundError
from launch_sdk.runs.store import RunStore
from launch_sdk.sources.packed import IMAGE, is_packed
from launch_sdk.tracking import protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from launch_sdk.specs.run_spec import RunSpec
    from launch_sdk.views import RunView

_PAGE = re.compile(r"https?://.*/flow-run/([^/?#]+)")


@dataclass(frozen=True)
class EarlierRun:
    """A run that has been, or is.

    Attributes:
        view: what is known of it.
        store: where its code is.
    """

    view: RunView
    store: RunStore

    @property
    def code(self) -> Mapping[str, Any]:
        """Which code it has and where that comes from; empty if nobody has recorded that."""
        return self.view.code or {}

    def exactly(self, spec: RunSpec) -> RunSpec:
        """Give its spec with the code that it had, which the store holds.

        Raises:
            NotFoundError: nobody has kept its code, or the store does not hold it any more.
        """
        source = self.code.get("source") or spec.source
        if source.startswith(IMAGE):  # all its code is that
            return spec
        if not is_packed(source):
            raise NotFoundError(
                f"The code of run {self.view.run_id} was not kept; it was in {source}. Launch that as it is now:"
                f" launch {source} -E {spec.entry_point[0]}"
            )
        if not self.store.holds(source):
            raise NotFoundError(
                f"The code of run {self.view.run_id}, {source}, is not in the run store {self.store.path} any more."
                " Submit it again from its directory."
            )
        return replace(spec, source=source)

    def require_start(self, entry_point: Sequence[str]) -> None:
        """Refuse a run that was started from no file, as in a Python shell, unless an entry point is given.

        Raises:
            InvalidSpecError: nobody knows what to start.
        """
        if self.code.get("capture") and not self.code.get("entry_point") and not entry_point:
            message = "nobody knows the file that it was started from; name its program with -E, as in -E train.py"
            raise InvalidSpecError(f"Run {self.view.run_id}", [Fault("entry_point", message)])

    def tell(self, spec: RunSpec) -> str:
        """Say in a line what is run again."""
        words = " ".join((*spec.entry_point, *spec.args))
        note = f" ({self.code['note']})" if self.code.get("note") else ""
        return f"Replays run {self.view.run_id}: {described(self.code) or spec.source}, {words}{note}"


def is_page(text: str) -> bool:
    """Say whether a text is the address of a run's page in the Prefect UI."""
    return _PAGE.fullmatch(text) is not None


def is_run_directory(path: Path) -> bool:
    """Say whether a folder is that of a run, so that the run is meant and not the folder."""
    return (path / protocol.RECORDS).is_file() or bool(path.is_dir() and protocol.read_code(path).get("source"))


def find_run(named: str) -> EarlierRun:
    """Find a run by its id, its name on the server, its page in the Prefect UI, or its directory.

    Raises:
        NotFoundError: there is none, or it was started by hand.
        ConflictError: several have this name.
    """
    kept = _kept_here(named)
    if kept is not None and kept.spec is not None:
        return EarlierRun(kept, RunStore.local())
    if kept is not None and not (kept.code or {}).get("source"):
        raise NotFoundError(
            f"Run {kept.run_id} was started by hand, and {why_no_code(kept.code or {})}"
            " To run its program as it is now, launch the directory of that."
        )
    page = _PAGE.fullmatch(named)
    if kept is None and page is None and (os.sep in named or named.startswith(".")):
        raise NotFoundError(f"{named} is not a directory. Name the directory that holds the program.")
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        view = client.run(kept.run_id if kept is not None else page[1] if page else named).refresh()
        return EarlierRun(
            replace(view, code=client.code_of(view)), client.store_of(view.spec.source if view.spec is not None else "")
        )


def names_job(named: str) -> bool:
    """Say whether a text that is no run names a job; one with an alias does, be there such a job or not."""
    if os.sep in named or named.startswith(".") or directory_of(named) is not None:
        return False
    from launch_sdk.client import LaunchClient

    with LaunchClient() as client:
        return ":" in named or client.has_job(named)


def _kept_here(named: str) -> RunView | None:
    path = directory_of(named)
    if path is None:
        return None
    wait_for_capture(path)
    return kept_run(path)
