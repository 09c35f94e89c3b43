"""What the warm process does besides importing, so that no run has to do it again.

Private part of Prefect 3.8 that is used here: `prefect.client.orchestration.ssl`, the name by which it makes a context
for TLS for each client, whether its server speaks TLS or not (17 ms each).
"""

from __future__ import annotations

import io
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINES = "2026-01-01 00:00:00.000 | INFO    | Flow run 'a-b' - Finished in state Completed('http://h:1/x', y=1, 2.5)"


def warm_up() -> None:
    """Do it; the modules of Prefect are imported."""
    from launch_sdk.agent.later import put_off_streams

    _share_tls_contexts()
    put_off_streams()
    _complete_models()
    _print_a_line()


class _SharedContexts:
    """The module `ssl`, but that the contexts which trust the same file are one: nobody changes them after."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(ssl, name)

    def create_default_context(self, *args: Any, cafile: str | None = None, **kwargs: Any) -> ssl.SSLContext:
        if cafile is None or args or kwargs:  # Prefect makes this one trust everybody
            return ssl.create_default_context(*args, cafile=cafile, **kwargs)
        if cafile not in self._contexts:
            self._contexts[cafile] = ssl.create_default_context(cafile=cafile)
        return self._contexts[cafile]


def _share_tls_contexts() -> None:
    import certifi
    from prefect.client import orchestration
    from prefect.settings import get_current_settings

    shared: Any = _SharedContexts()
    shared.create_default_context(cafile=get_current_settings().api.ssl_cert_file or certifi.where())
    orchestration.ssl = shared  # pyright: ignore[reportPrivateImportUsage]


def _complete_models() -> None:
    """Build the validators that pydantic has put off until they are needed: some 250."""
    from pydantic import BaseModel

    for model in set(_below(BaseModel)):
        if not model.__pydantic_complete__:
            model.model_rebuild(raise_errors=False)


def _below(model: type[Any]) -> Iterator[type[Any]]:
    for child in model.__subclasses__():
        yield child
        yield from _below(child)


def _print_a_line() -> None:
    """Have rich compile the patterns by which it colours what a run logs."""
    from prefect.logging.highlighters import PrefectConsoleHighlighter
    from rich.console import Console

    Console(file=io.StringIO(), highlighter=PrefectConsoleHighlighter()).print(_LINES)
