"""Dockerfiles: which one is taken, which images it stands on, and that no word of a source becomes an instruction."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from launch_sdk.containers.dockerfiles import bases_of, find_dockerfile, labelled
from launch_sdk.containers.engine_build import machine_fault
from launch_sdk.containers.generated import base_for, code_dockerfile, environment_dockerfile
from launch_sdk.containers.indexes import indexes_of
from launch_sdk.environments.plan import plan_environment
from launch_sdk.environments.steps import steps_of
from launch_sdk.errors import InvalidSpecError
from launch_sdk.runs.packing import pack_source
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_spec import RunSpec

OWN = ".".join(platform.python_version_tuple()[:2])


@pytest.mark.parametrize(
    ("python", "base"),
    [(None, OWN), ("3.10", "3.10"), ("3.9.18", "3.9"), ("3.12.*", "3.12"), (">=3.9,<3.11", "3.10"), (">=3.10", OWN)],
)
def test_the_base_is_the_official_image_of_the_python_that_the_code_asks_for(python: str | None, base: str) -> None:
    assert base_for(python) == f"python:{base}"


def test_the_images_that_a_dockerfile_stands_on_are_read_without_its_own_stages() -> None:
    text = """# FROM nothing
ARG BASE=python:3.12
FROM --platform=linux/amd64 ${BASE} AS build
FROM build AS second
from registry.example.com:5000/team/run\\
time:1
COPY --from=build /a /b
COPY --from=0 /a /b
COPY --chown=1 --from=ghcr.io/astral-sh/uv:latest /uv /bin/
FROM ${UNKNOWN}
FROM scratch
"""
    assert bases_of(text) == ["python:3.12", "registry.example.com:5000/team/runtime:1", "ghcr.io/astral-sh/uv:latest"]


def test_every_fault_of_a_named_dockerfile_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError) as error:
        find_dockerfile(tmp_path, ("run.py",), "../Dockerfile", "/etc")
    assert [fault.path for fault in error.value.faults] == ["build_context", "dockerfile"]
    with pytest.raises(InvalidSpecError, match="is not in the source"):
        find_dockerfile(tmp_path, ("run.py",), "docker/Dockerfile")
    assert find_dockerfile(tmp_path, ("run.py",)) is None
    (tmp_path / "Dockerfile.wandb").write_text("FROM x")
    assert find_dockerfile(tmp_path, ("../../run.py",)) is not None


@pytest.mark.parametrize("name", ["evil\nRUN touch /x", "a\rb", "tab\there"])
def test_a_folder_whose_name_would_end_an_instruction_is_refused(name: str) -> None:
    with pytest.raises(InvalidSpecError, match="control character"):
        code_dockerfile("base", directory=name, user_id=1000)


def test_a_folders_name_is_no_variable() -> None:
    assert 'WORKDIR /workspace/\\$PATH\\"\\\\n\n' in code_dockerfile("base", directory='$PATH"\\n', user_id=1)


def test_packages_of_the_source_itself_are_resolved_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "setup.py").write_text("")
    (tmp_path / "requirements.txt").write_text("-e ./lib\nsix\ntorch==2.4.0+cu121\n")
    plan = plan_environment("auto", tmp_path, None)
    assert plan.requirements.options == ["--torch-backend", "cu121"]  # its builds for CUDA have an index of their own
    steps = steps_of(plan, source="/launch/source", target="/opt/environment", scratch="/launch/asked")
    text = environment_dockerfile("base", steps, python=None, build="b", variables={"UV_INDEX": 'https://x/"$HOME'})
    calls = [json.loads(line.removeprefix("RUN ")) for line in text.splitlines() if line.startswith("RUN ")]
    assert [call[1] for call in calls] == ["venv", "pip", "-i", "pip"]
    assert calls[1][2] == "compile"
    assert calls[3][-4:] == ["-r", "/launch/asked/options.txt", "-r", "/launch/asked/resolved.txt"]
    assert 'UV_INDEX="https://x/\\"\\$HOME"' in text
    assert "/launch/source/lib" in steps.files["requirements.txt"]


def test_a_torch_build_of_an_index_that_is_named_is_left_to_that(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("--extra-index-url https://x.example.com/whl\ntorch==2.4.0+cu121\n")
    assert "--torch-backend" not in plan_environment("auto", tmp_path, None).requirements.options


def test_an_engine_of_another_kind_of_machine_cannot_run_the_uv_of_this_one() -> None:
    assert machine_fault("amd64", "x86_64") is None
    assert machine_fault("x86_64", "x86_64") is None
    assert "made for amd64 here" in str(machine_fault("arm64", "x86_64"))


def test_an_index_keeps_its_login_apart() -> None:
    found = indexes_of(
        {
            "UV_DEFAULT_INDEX": "https://me:p%40ss@pypi.example.com:8443/simple",
            "UV_INDEX": "corp=https://token@corp.example.com/simple file:///opt/local https://open.example.com/simple",
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
    )
    assert found.variables == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://pypi.example.com:8443/simple",
        "UV_INDEX": "corp=https://corp.example.com/simple https://open.example.com/simple",
    }
    assert found.netrc.splitlines() == [
        "machine pypi.example.com login me password p@ss",
        'machine corp.example.com login token password ""',
    ]
    assert "p@ss" not in repr(found)


def test_every_stage_of_a_dockerfile_gets_a_label_and_nothing_else_of_it_changes() -> None:
    text = "# x\nARG A=1\nFROM a AS \\\n  # of it\n  first\nRUN echo \\\nFROM nowhere\n\nfrom b\r\nCOPY . ."
    wanted = text.replace("first\n", "first\nLABEL k=v\n").replace("from b\r\n", "from b\r\nLABEL k=v\n")
    assert labelled(text, "k=v") == f"{wanted}\n"
    assert labelled("# escape=`\nFROM a AS `\nb", "k=v") == "# escape=`\nFROM a AS `\nb\nLABEL k=v\n"


def test_a_dockerfile_that_cannot_be_built_with_is_told_when_it_is_submitted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "docker").mkdir(parents=True)
    (source / "out").symlink_to("/etc/passwd")
    cases = {
        "gone": "gone is not in the source. If it is there, it was left behind: a link that leads out",
        "docker": "docker is a folder; name a file, as in docker/Dockerfile",
        "out": "out is a link out of the source, which is left behind; put what it leads to in its place",
    }
    for name, told in cases.items():
        values = {"source": str(source), "entry_point": ["run.py"], "container": {"dockerfile": name}}
        with pytest.raises(InvalidSpecError, match=told):
            pack_source(RunSpec.from_dict(values), RunStore(tmp_path / "store"))
    assert not (tmp_path / "store").exists()
    with pytest.raises(InvalidSpecError, match="holds a control character"):
        RunSpec.from_dict({"source": "x", "entry_point": ["run.py"], "container": {"dockerfile": "a\nRUN b"}})
