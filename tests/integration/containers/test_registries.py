"""Images of code in a registry: pushed by who builds, pulled by all others, and its login is nowhere to be seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch_sdk.containers.base_images import identifier, present
from launch_sdk.containers.build import BuildRequest, JobImage, job_image
from launch_sdk.containers.images import Images
from launch_sdk.containers.registry import Registry
from launch_sdk.errors import RunFailedError
from launch_sdk.runs.store import RunStore
from tests.engines import engine
from tests.integration.containers.test_image_builds import everything_known_of
from tests.registries import PASSWORD, USER, LocalRegistry, registry


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    engine()
    with registry(tmp_path_factory.mktemp("registry") / "r") as running:
        yield running


def test_an_image_is_pushed_once_and_pulled_by_the_others(
    local: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    code = tmp_path / "code"
    code.mkdir()
    (code / "stamp").write_text(str(time.monotonic_ns()))
    (code / "Dockerfile.launch").write_text("FROM scratch\nCOPY stamp /stamp\n")
    store = RunStore.local()
    pack = store.put_directory(code)
    start = store.lay_out(pack.source, tmp_path / "work")
    request = BuildRequest(pack.source, tmp_path / "work", start, ("run.py",))
    known = Registry(f"{local.host}/team/jobs", username=USER, password=PASSWORD)
    lines: list[str] = []

    def build(agent: str, registry: Registry) -> JobImage:
        lines.clear()
        return asyncio.run(job_image(Images(engine().api, tmp_path / agent, lines.extend, registry), request))

    api = engine().api
    first = build("one", known)
    assert first.was_built
    assert f"launch: pushed {first.reference}" in lines
    assert PASSWORD not in everything_known_of(first.reference) + repr(known) + "".join(lines)
    assert not build("one", known).was_built
    api.remove_image(first.reference)
    other = build("another machine's", known)  # which has no lock in common with the first
    assert (other.reference, other.was_built) == (first.reference, False)
    assert f"launch: pulled {first.reference}" in lines
    api.remove_image(first.reference)
    with pytest.raises(RunFailedError, match="was built, but it could not be pushed") as refused:
        build("a stranger's", Registry(known.repository, username=USER, password="wrong-word"))  # noqa: S106
    assert "wrong-word" not in str(refused.value)
    assert present(api, first.reference) is not None
    assert not build("one", known).was_built  # who may log in finds it in the registry
    api.remove_image(first.reference)


def test_a_base_image_that_cannot_be_pulled_is_named(local: LocalRegistry) -> None:
    name = f"{local.host}/nobody/has:this"
    with pytest.raises(RunFailedError, match=f"Image {name} is not on the engine, and it cannot be pulled"):
        asyncio.run(identifier(engine().api, name, None, lambda _lines: None))
