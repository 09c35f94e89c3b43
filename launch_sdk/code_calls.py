"""What a client does with code: packs it, and finds where it is; `LaunchClient` has these calls too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.store import RunStore
from launch_sdk.sources.packed import is_packed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from launch_sdk.session import Session
    from launch_sdk.specs.run_spec import RunSpec
    from launch_sdk.views import RunView


class CodeCalls:
    """The calls of a client that are about the code of runs."""

    _session: Session
    _tell: Callable[[str], object]

    def run_store(self) -> RunStore:
        """Return the run store of the server's runs."""
        return self._session.do(self._session.gateway.run_store())

    def _packed(self, spec: RunSpec) -> RunSpec:
        shared, holding = self.run_store(), self.store_of(spec.source)
        if holding != shared:
            shared.take_over(spec.source, holding)
        return pack_source(spec, shared, self._tell)

    def store_of(self, source: str) -> RunStore:
        """Return the run store that holds a source: the one that all share, unless only this machine's own does."""
        shared, local = self.run_store(), RunStore.local()
        return local if is_packed(source) and not shared.holds(source) and local.holds(source) else shared

    def code_of(self, view: RunView) -> Mapping[str, Any] | None:
        """Say which code a run has and where that comes from, also before it has started; None if nobody knows."""
        if view.code is not None or view.spec is None:
            return view.code
        return self.record_of(view.spec.source)

    def record_of(self, source: str) -> Mapping[str, Any] | None:
        """Say where a packed source comes from; None of a directory."""
        return self.store_of(source).record(source) if is_packed(source) else None
