"""What is put off until a run has lasted a while."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from prefect import flow_engine

from launch_sdk.agent.later import later, put_off_streams

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest

NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Stream:
    """Notes whether it was opened, by whom, and closed."""

    def __init__(self) -> None:
        self.opened, self.closed = threading.Event(), threading.Event()
        self.by = ""

    @contextmanager
    def open(self, suffix: str = "") -> Generator[None]:
        self.by = NAME.get() + suffix
        self.opened.set()
        yield
        self.closed.set()


def test_what_is_over_before_never_begins() -> None:
    stream = Stream()
    with later(stream.open, after_s=0.2)():
        pass
    assert not stream.opened.wait(0.4)


def test_what_lasts_is_begun_in_the_callers_context_and_ended_with_it() -> None:
    stream = Stream()
    token = NAME.set("the caller")
    try:
        with later(stream.open, after_s=0.01)("'s"):
            assert stream.opened.wait(5)
            assert stream.by == "the caller's"
            assert not stream.closed.is_set()
    finally:
        NAME.reset(token)
    assert stream.closed.wait(5)


def test_what_fails_to_begin_does_not_disturb() -> None:
    ended = threading.Event()

    @contextmanager
    def broken() -> Generator[None]:
        ended.set()
        yield from ()

    with later(broken, after_s=0.0)():
        assert ended.wait(5)


def test_the_engine_of_prefect_has_both_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("observe_flow_run_suspension", "_send_heartbeats")
    plain = {name: getattr(flow_engine, name) for name in names}  # a Prefect without one of them opens it at once again
    for name in names:
        monkeypatch.setattr(flow_engine, name, plain[name])
    put_off_streams()
    assert all(getattr(flow_engine, name).__wrapped__ is plain[name] for name in names)
