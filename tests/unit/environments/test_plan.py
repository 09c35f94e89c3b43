"""Which requirements count, and when two of them are the same environment."""

from __future__ import annotations

import contextlib
import platform
from typing import TYPE_CHECKING, Any

import pytest

from launch_sdk.environments.plan import EARLIER_RUN, Plan, plan_environment
from launch_sdk.errors import InvalidSpecError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

LOCK: dict[str, Any] = {"python": platform.python_version(), "packages": [{"name": "six", "version": "1.16.0"}]}
FILES = {
    "requirements.txt": "six\n",
    "pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["idna"]\n',
    "environment.yml": "dependencies:\n  - python=3.11\n  - numpy\n  - pip:\n    - wheel\n",
}


def _plan(source: Path, environment: str = "auto", lock: dict[str, Any] | None = None) -> Plan:
    return plan_environment(environment, source, lock)


def test_auto_takes_the_first_there_is_and_the_earlier_run_last(source: Path) -> None:
    for name, text in FILES.items():
        (source / name).write_text(text)
    for name in FILES:
        assert _plan(source, lock=LOCK).origin == name
        (source / name).unlink()
    plan = _plan(source, lock=LOCK)
    assert (plan.origin, plan.kind, plan.requirements.lines) == (EARLIER_RUN, "exact", ["six==1.16.0"])


def test_without_requirements_the_error_says_how_to_start_it_all_the_same(source: Path) -> None:
    with pytest.raises(NotFoundError, match=r"requirements.txt, pyproject.toml.*--environment current"):
        _plan(source)
    with pytest.raises(NotFoundError, match="No earlier run"):
        _plan(source, "lock")
    (source / "environment.yml").write_text("")
    with pytest.raises(NotFoundError, match=r"gpu.txt is not in the source; it holds environment.yml"):
        _plan(source, "gpu.txt")


def test_the_search_begins_where_the_program_starts(source: Path) -> None:
    start = source / "a" / "b"
    (start / "lib").mkdir(parents=True)
    (source / "requirements.txt").write_text("six\n")
    (source / ".python-version").write_text("3.9")
    assert plan_environment("auto", source, None, start).origin == "requirements.txt"
    (source / "a" / "environment.yml").write_text(FILES["environment.yml"])
    assert plan_environment("auto", source, None, start).origin == "a/environment.yml"
    (start / "requirements.txt").write_text("-r ../../requirements.txt\n./lib\n")
    plan = plan_environment("requirements.txt", source, None, start)
    assert (plan.origin, plan.requirements.folders, plan.python) == ("a/b/requirements.txt", ["a/b/lib"], "3.9")
    assert _plan(source, "requirements.txt").origin == "requirements.txt"


def test_a_uv_lock_beside_the_project_counts(source: Path) -> None:
    (source / "pyproject.toml").write_text(FILES["pyproject.toml"])
    (source / "uv.lock").write_text('version = 1\n[[package]]\nname = "idna"\nsource = { registry = "https://h/s" }\n')
    plan = _plan(source)
    assert (plan.origin, plan.kind) == ("uv.lock", "uv.lock")
    assert _plan(source, "pyproject.toml").digest == plan.digest == _plan(source, "uv.lock").digest


def test_a_project_or_lock_that_leads_out_of_the_source_is_refused_with_every_fault(source: Path) -> None:
    (source / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\ndependencies = ["a @ file:///etc/x"]\n'
        '[tool.uv.sources]\nb = { path = "../b" }\nc = { git = "ext::sh -c x" }\nd = [{ git = "file:///r" }]\n'
    )
    (source / "uv.lock").write_text(
        '[[package]]\nname = "e"\nsource = { directory = "../../e" }\n'
        '[[package]]\nname = "f"\nsource = { registry = "/srv/simple" }\n'
    )
    with pytest.raises(InvalidSpecError) as caught:
        _plan(source)
    assert len(caught.value.faults) == 6


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_link_out_of_the_source_is_refused(source: Path, name: str) -> None:
    (source.parent / "outside").write_text(FILES[name])
    (source / name).symlink_to(source.parent / "outside")
    with pytest.raises(InvalidSpecError, match="leads out of the source"):
        _plan(source)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", 'project = 3\n[tool.uv]\nsources = ["x"]'),
        ("pyproject.toml", "[project]\ndynamic = 3\ndependencies = 4\nrequires-python = 5"),
        ("pyproject.toml", "[tool]\nuv = 1\n[project]\ndependencies = [1, {a = 2}]"),
        ("pyproject.toml", "[[["),
        ("environment.yml", "- 1"),
        ("environment.yml", "dependencies: [1, {pip: 3}, {pip: [4]}, null]"),
        ("environment.yml", "a: [\n"),
        ("environment.yml", "!!python/object/apply:os.system [true]"),
        ("requirements.txt", "\0\n-\n--\n@\n[]\n;\n\\"),
    ],
)
def test_malformed_files_are_a_plan_or_a_fault(source: Path, name: str, text: str) -> None:
    (source / name).write_text(text)
    with contextlib.suppress(InvalidSpecError):
        assert _plan(source).origin == name


def test_the_pip_section_of_a_conda_environment_counts_and_the_rest_is_told(source: Path) -> None:
    (source / "environment.yml").write_text(FILES["environment.yml"].replace("3.11", "3.9"))
    plan = _plan(source)
    assert plan.requirements.lines == ["wheel"]
    assert plan.python == "3.9"
    assert plan.notices == ("environment.yml: only its pip section is installed; left to conda are numpy",)
    (source / "environment.yml").write_text("dependencies: 3")
    with pytest.raises(InvalidSpecError, match="has no list of dependencies"):
        _plan(source)


@pytest.mark.parametrize(
    ("files", "python"),
    [
        ({".python-version": "3.9\n"}, "3.9"),
        ({"runtime.txt": "python-3.8.10"}, "3.8.10"),
        ({".python-version": f"{platform.python_version()}\n"}, None),
        ({".python-version": "pypy3.9"}, None),
        ({".python-version": "system"}, None),
    ],
)
def test_the_source_may_say_which_python(source: Path, files: dict[str, str], python: str | None) -> None:
    for name, text in {"requirements.txt": "six", **files}.items():
        (source / name).write_text(text)
    assert _plan(source).python == python


def test_a_project_says_which_python(source: Path) -> None:
    text = FILES["pyproject.toml"] + 'requires-python = "{}"\n'
    (source / "pyproject.toml").write_text(text.format(">=3.8"))
    assert _plan(source).python is None
    (source / "pyproject.toml").write_text(text.format(">=3.8,<3.10"))
    assert _plan(source).python == ">=3.8,<3.10"
    (source / "pyproject.toml").write_text(text.format("nonsense"))
    with pytest.raises(InvalidSpecError, match="nonsense"):
        _plan(source)


def test_the_digest_changes_with_what_is_installed_and_with_nothing_else(source: Path) -> None:
    file = source / "requirements.txt"
    file.write_text("six\n# comment\n")
    digest = _plan(source).digest
    file.write_text("six   # another\n\n")
    (source / "train.py").write_text("print()")
    assert _plan(source).digest == digest
    file.write_text("six\nidna\n")
    assert _plan(source).digest != digest


def test_a_linter_setting_of_a_project_changes_no_environment(source: Path) -> None:
    (source / "pyproject.toml").write_text(FILES["pyproject.toml"])
    digest = _plan(source).digest
    (source / "pyproject.toml").write_text(FILES["pyproject.toml"] + "[tool.ruff]\nline-length = 3\n")
    assert _plan(source).digest == digest


def test_a_password_is_no_part_of_the_digest_and_is_not_shown(source: Path) -> None:
    file = source / "requirements.txt"
    file.write_text("demo @ https://me:one@host/x.whl\n--index-url https://me:one@host/")
    plan = _plan(source)
    file.write_text("demo @ https://me:two@host/x.whl\n--index-url https://me:two@host/")
    assert _plan(source).digest == plan.digest
    assert plan.shown_requirements == ["demo @ https://***@host/x.whl"]
