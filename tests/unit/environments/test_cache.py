"""Environments are made once, kept while they are used, and thrown away by age. The installer is the real one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.environments.cache import EnvironmentCache, Held
from launch_sdk.environments.installer import installer_environment
from launch_sdk.environments.plan import plan_environment
from launch_sdk.errors import ConflictError, NotFoundError, RunFailedError
from tests.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLD = """
import asyncio, sys
from pathlib import Path
from launch_sdk.environments.cache import EnvironmentCache
from launch_sdk.environments.plan import plan_environment
source = Path(sys.argv[2])
held = asyncio.run(EnvironmentCache(Path(sys.argv[1])).hold(plan_environment("auto", source, None), source, print))
print("built" if held.built_s is not None else "found", flush=True)
sys.stdin.read()
"""


def _hold(cache: EnvironmentCache, source: Path, lines: list[str] | None = None) -> Held:
    plan = plan_environment("auto", source, None)
    return asyncio.run(cache.hold(plan, source, (lines if lines is not None else []).extend))


def _require(source: Path, wheel: Callable[..., Path], *names: str) -> None:
    places = [wheel(source, name).name for name in names]
    (source / "requirements.txt").write_text("".join(f"./{place}\n" for place in places))


def _says(held: Held, code: str) -> str:
    done = subprocess.run([held.interpreter, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_eight_that_want_the_same_environment_make_it_once(
    cache: EnvironmentCache, source: Path, wheel: Callable[..., Path]
) -> None:
    _require(source, wheel, "alpha")
    here: list[str] = []

    async def want() -> list[Held]:
        plan = plan_environment("auto", source, None)
        return list(await asyncio.gather(*(cache.hold(plan, source, here.extend) for _ in range(6))))

    words = [sys.executable, "-c", HOLD, str(cache.folder), str(source)]
    others = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    held = asyncio.run(want())
    said = [other.communicate("")[0] for other in others]
    built = sum(one.built_s is not None for one in held) + sum("built" in text for text in said)
    assert built == 1
    assert len([line for line in "\n".join([*here, *said]).splitlines() if "launch: making the" in line]) == 1
    assert {one.path for one in held} == {held[0].path}
    assert _says(held[0], "import alpha; print(alpha.VERSION)") == "1.0"
    for one in held:
        one.close()
    assert {path.name for path in cache.folder.iterdir()} == {held[0].path.name, f"{held[0].path.name}.lock"}


def test_one_that_is_there_is_held_in_no_time(
    cache: EnvironmentCache, source: Path, wheel: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _require(source, wheel, "alpha")
    _hold(cache, source).close()
    monkeypatch.setattr("launch_sdk.environments.cache.install", None)
    began = time.monotonic()
    _hold(cache, source).close()
    assert time.monotonic() - began < 0.2


def test_commands_of_packages_start_with_the_interpreter_of_their_environment(
    cache: EnvironmentCache, source: Path, wheel: Callable[..., Path]
) -> None:
    files = {
        "beta.py": "import sys\ndef main(): print(sys.prefix)\n",
        "beta-1.0.dist-info/entry_points.txt": "[console_scripts]\nbeta = beta:main\n",
    }
    wheel(source, "beta", files=files)
    (source / "requirements.txt").write_text("./beta-1.0-py3-none-any.whl")
    held = _hold(cache, source)
    done = subprocess.run([held.path / "bin" / "beta"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(held.path)
    held.close()


def test_packages_of_the_source_bring_what_they_need_and_are_not_installed(
    cache: EnvironmentCache, source: Path, wheel: Callable[..., Path]
) -> None:
    wheel(source, "alpha")
    (source / "libs" / "mine").mkdir(parents=True)
    (source / "libs" / "mine" / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\ndependencies = ["alpha"]\n'
    )
    (source / "requirements.txt").write_text("-e ./libs/mine\n./alpha-1.0-py3-none-any.whl\n")
    held = _hold(cache, source)
    code = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
    assert _says(held, code) == "['alpha']"
    held.close()


def test_what_cannot_be_installed_fails_with_the_last_words_and_leaves_nothing(
    cache: EnvironmentCache, source: Path
) -> None:
    text = "--no-index\nno-such-package==1.0\n--extra-index-url http://me:secret@127.0.0.1:9/simple\n"
    (source / "requirements.txt").write_text(text)
    with pytest.raises(RunFailedError) as caught:
        _hold(cache, source)
    said = str(caught.value)
    assert said.startswith("The environment of requirements.txt (Python 3.")
    assert "so the program was not started. uv said:" in said
    assert "no-such-package" in said
    assert "secret" not in said
    assert [path for path in cache.folder.iterdir() if not path.name.endswith(".lock")] == []


def test_a_password_is_not_in_the_words_of_an_index_that_does_not_answer(
    cache: EnvironmentCache, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    (source / "requirements.txt").write_text("--index-url http://me:secret@127.0.0.1:9/simple\nsix\n")
    with pytest.raises(RunFailedError) as caught:
        _hold(cache, source)
    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_python_that_is_not_there_is_named_with_what_to_do(cache: EnvironmentCache, source: Path) -> None:
    (source / "requirements.txt").write_text("")
    (source / ".python-version").write_text("3.99\n")
    with pytest.raises(RunFailedError, match=r"(?s)Python 3.99.*UV_PYTHON_DOWNLOADS=automatic"):
        _hold(cache, source)


def test_an_environment_of_nothing_can_be_made(cache: EnvironmentCache, source: Path) -> None:
    (source / "requirements.txt").write_text("# nothing\n")
    held = _hold(cache, source)
    assert _says(held, "print(1)") == "1"
    held.close()


def test_one_whose_interpreter_is_gone_is_made_anew(cache: EnvironmentCache, source: Path) -> None:
    (source / "requirements.txt").write_text("")
    held = _hold(cache, source)
    held.close()
    held.interpreter.unlink()
    held.interpreter.symlink_to("/gone/python")
    again = _hold(cache, source)
    assert again.built_s is not None
    assert _says(again, "print(1)") == "1"
    again.close()


def test_a_builder_that_is_told_to_end_leaves_nothing(
    cache: EnvironmentCache, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow-uv"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("launch_sdk.environments.installer.find_uv", lambda: str(slow))
    (source / "requirements.txt").write_text("")

    def has_begun() -> bool:
        return (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip())

    async def begin_and_end() -> None:
        plan = plan_environment("auto", source, None)
        building = asyncio.create_task(cache.hold(plan, source, lambda _: None))
        await asyncio.to_thread(eventually, has_begun, "uv should start")
        building.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await building

    asyncio.run(begin_and_end())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert [path for path in cache.folder.iterdir() if not path.name.endswith(".lock")] == []
    monkeypatch.undo()
    _hold(cache, source).close()  # the lock is free


def test_what_a_killed_builder_left_is_cleared_away(cache: EnvironmentCache, source: Path) -> None:
    (source / "requirements.txt").write_text("")
    digest = plan_environment("auto", source, None).digest
    (cache.folder / f".building-{digest}-x" / "made").mkdir(parents=True)
    (cache.folder / ".building-other-y").mkdir()
    (cache.folder / ".going-z").mkdir()
    _hold(cache, source).close()
    assert {path.name for path in cache.folder.iterdir()} == {digest, f"{digest}.lock", "other.lock"}


def test_the_least_recently_used_go_first_but_never_one_in_use(cache: EnvironmentCache, tmp_path: Path) -> None:
    held: dict[str, Any] = {}
    for number, name in enumerate(("oldest", "older", "newest")):
        source = tmp_path / name
        source.mkdir()
        (source / "requirements.txt").write_text("--no-binary " + name)
        held[name] = _hold(cache, source)
        os.utime(f"{held[name].path}.lock", (number, number))
    for name in ("older", "newest"):
        held[name].close()
    made = cache.made()
    assert [(one.path, one.in_use, one.last_used) for one in made] == [
        (held["newest"].path, False, 2.0),
        (held["older"].path, False, 1.0),
        (held["oldest"].path, True, 0.0),
    ]
    assert {one.made_of for one in made} == {"requirements.txt"}
    assert all(0 < one.size_bytes < _bytes(held["older"]) for one in made)  # its own record is written last
    with pytest.raises(ConflictError, match="A run is in environment"):
        cache.delete(held["oldest"].path.name)
    assert cache.prune() == []
    nothing = replace(cache, limit_gb=1e-9)
    tight = replace(cache, limit_gb=2.5 * _bytes(held["oldest"]) / 1e9)
    assert tight.prune() == [held["older"].path.name]
    assert nothing.prune() == [held["newest"].path.name]
    assert held["oldest"].path.is_dir()
    held["oldest"].close()
    assert cache.delete(held["oldest"].path.name[:20]).path == held["oldest"].path
    assert cache.made() == []
    with pytest.raises(NotFoundError, match="No environment begins with 'x'; there are none"):
        cache.delete("x")


def _bytes(held: Held) -> int:
    return sum(path.lstat().st_size for path in held.path.rglob("*") if not path.is_dir() or path.is_symlink())


def test_the_limit_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EnvironmentCache.below(tmp_path).limit_gb == 20
    monkeypatch.setenv("LAUNCH_ENVIRONMENTS_GB", "1.5")
    assert EnvironmentCache.below(tmp_path).limit_gb == 1.5
    monkeypatch.setenv("LAUNCH_ENVIRONMENTS_GB", "much")
    assert EnvironmentCache.below(tmp_path).limit_gb == 20


def test_the_installer_sees_the_indexes_of_pip_and_nothing_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nextra-index-url = https://b/simple\n  file:///srv\n")
    given = {"PIP_INDEX_URL": "https://a/simple", "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "HOME": str(tmp_path)}
    found = installer_environment({**given, "PREFECT_API_AUTH_STRING": "x", "PYTHONPATH": "/x", "LAUNCH_HOME": "/x"})
    assert found["UV_DEFAULT_INDEX"] == "https://a/simple"
    assert found["UV_INDEX"] == "https://b/simple"
    assert not {"PREFECT_API_AUTH_STRING", "PYTHONPATH", "LAUNCH_HOME"} & set(found)
    assert "UV_DEFAULT_INDEX" not in installer_environment({**given, "UV_INDEX": "https://c"})
