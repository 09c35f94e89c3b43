"""Images of a run's code: what is built and what is not, what is in them, and how a build fails."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from launch_sdk.containers.build import BuildRequest, JobImage, job_image
from launch_sdk.containers.generated import BUILD_LABEL
from launch_sdk.containers.images import Images
from launch_sdk.errors import InvalidSpecError, RunFailedError
from launch_sdk.runs.store import RunStore
from tests.engines import BASE, engine
from tests.integration.containers.conftest import Lab

QUEUE = {"builder": {"base_image": BASE}}
SECRET = "of-the-index"  # noqa: S105  # it is one, of nobody
SCRIPT = """
import json, os, sys
import colorama
import launch_sdk as launch

with launch.init(config={"lr": 0.1}) as run:
    run.log({"lr": run.config["lr"]})
    print(json.dumps({"user": os.getuid(), "cwd": os.getcwd(), "python": sys.executable,
                      "packages": colorama.__version__, "conf": open("conf.yaml").read()}))
"""


class Code:
    """A program in a folder, to be packed anew each time that an image is wanted."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder / "code"
        self.folder.mkdir(parents=True)
        self.lines: list[str] = []
        for name, text in files.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def request(self, **more: Any) -> BuildRequest:
        store = RunStore.local()
        pack = store.put_directory(self.folder)
        top = self.folder.parent / f"laid-out-{time.monotonic_ns()}"
        given: dict[str, Any] = {"entry_point": ("run.py",), "base_image": BASE, **more}
        return BuildRequest(pack.source, top, store.lay_out(pack.source, top), **given)

    async def image(self, request: BuildRequest | None = None, **more: Any) -> JobImage:
        images = Images(engine().api, self.folder.parent / "locks", self.lines.extend)
        return await job_image(images, request or self.request(**more))

    def build(self, **more: Any) -> JobImage:
        self.lines.clear()
        return asyncio.run(self.image(**more))


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    monkeypatch.setenv("LAUNCH_HOME", str(tmp_path / "home"))
    return Code(tmp_path)


def everything_known_of(image: str) -> str:
    """Give all that the engine says of an image: its history, and what it is."""
    api = engine().api
    return json.dumps([api.history(image), api.inspect_image(image)])


def test_code_gets_an_image_whose_packages_stay_when_only_the_code_changes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"https://me:{SECRET}@pypi.org/simple")
    source = lab.folder / "source-1"
    source.mkdir()
    (source / "requirements.txt").write_text(f"colorama==0.4.6  # {time.monotonic_ns()}\n")
    (source / "conf.yaml").write_text("depth: 3\n")
    cold = lab.run(SCRIPT, queue=QUEUE, config={"lr": 0.5}, files={"conf.yaml": {"depth": 4}})
    assert cold.outcome.succeeded, cold.outcome.error
    said = json.loads(cold.lines[-1])
    assert (said["user"], said["cwd"], said["packages"], said["conf"]) == (1000, "/workspace", "0.4.6", "depth: 4\n")
    assert said["python"] == "/opt/environment/bin/python"
    assert cold.outcome.summary == {"lr": 0.5}
    tag = next(line.rpartition(" ")[2] for line in cold.lines if "building the image of the code" in line)
    source.rename(lab.folder / "source-2")
    assert not [line for line in lab.run(SCRIPT, queue=QUEUE).lines if "building" in line]
    (lab.folder / "source-2").rename(lab.folder / "source-3")
    changed = [line for line in lab.run(f"{SCRIPT}#", queue=QUEUE).lines if "building" in line]
    assert len(changed) == 1
    assert "the code" in changed[0]
    assert engine().api.inspect_image(tag)["Config"]["User"] == "1000:1000"
    assert SECRET not in everything_known_of(tag) + "".join(cold.lines)
    assert "PREFECT" not in everything_known_of(tag)
    assert engine().api.images(filters={"dangling": True, "label": BUILD_LABEL}) == []  # what knew the login is gone


def test_an_unchanged_job_takes_no_time(code: Code) -> None:
    code.write("run.py", f"print({time.monotonic_ns()})")
    assert code.build().was_built
    request = code.request()
    began = time.perf_counter()
    found = asyncio.run(code.image(request))
    assert time.perf_counter() - began < 0.2
    assert not found.was_built
    assert any("no packages besides" in line for line in code.lines)


def test_of_two_who_want_an_image_at_once_one_builds_it(code: Code) -> None:
    code.write("Dockerfile.launch", f"FROM {BASE}\nRUN sleep 0.5 && echo {time.monotonic_ns()}\n")

    async def both() -> list[JobImage]:
        return list(await asyncio.gather(code.image(), code.image()))

    first, second = asyncio.run(both())
    assert first.reference == second.reference
    assert [first.was_built, second.was_built].count(True) == 1
    assert any("another run is building" in line for line in code.lines)


def test_a_build_that_fails_says_its_last_words_and_leaves_nothing(code: Code) -> None:
    before = len(engine().api.images(filters={"dangling": True}))
    code.write("requirements.txt", "no-such-package-of-anybody==1.2.3\n")
    with pytest.raises(RunFailedError, match="could not be built, so the program was not started") as error:
        code.build()
    assert "no-such-package-of-anybody" in str(error.value)
    assert len(engine().api.images(filters={"dangling": True})) == before
    code.write("Dockerfile.wandb", f"FROM {BASE}\nRUN echo it is $((40 + 2)); exit 7\n")
    with pytest.raises(RunFailedError, match=r"Dockerfile\.wandb could not be built(.|\n)*it is 42(.|\n)*code: 7"):
        code.build()


def test_a_dockerfile_of_the_source_is_taken_in_the_order_that_wandb_has(code: Code) -> None:
    stamp = f"# {time.monotonic_ns()}\n"
    code.write("src/run.py", "print(1)")
    program: Any = {"entry_point": ("python", "src/run.py")}
    assert code.build(**program).made_by == "generated"
    code.write("src/Dockerfile.wandb", f"FROM {BASE}\nWORKDIR /of/wandb\nCOPY . .\n{stamp}")
    assert code.build(**program).made_by == "src/Dockerfile.wandb"
    code.write("src/Dockerfile.launch", f"FROM {BASE}\nWORKDIR /of/launch\nCOPY . .\n{stamp}")
    code.write(".dockerignore", "kept-out\n")
    code.write("kept-out", "")
    own = code.build(**program)
    assert (own.made_by, own.source_folder) == ("src/Dockerfile.launch", None)
    code.write("docker/Own", f"FROM {BASE}\nWORKDIR /named\nCOPY data.txt .\n{stamp}")
    code.write("docker/data.txt", "1")
    named = code.build(**program, dockerfile="Own", build_context="docker")
    assert named.made_by == "Own"
    assert engine().api.inspect_image(named.reference)["Config"]["WorkingDir"] == "/named"
    assert {"launch/src/run.py", "launch/.dockerignore"} <= (names := names_in(own.reference, "/of/launch"))
    assert "launch/kept-out" not in names


def names_in(image: str, folder: str) -> set[str]:
    """List the files in a folder of an image."""
    held = engine().api.create_container(image, ["true"])["Id"]
    try:
        content = b"".join(engine().api.get_archive(held, folder)[0])
    finally:
        engine().api.remove_container(held)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return set(archive.getnames())


def test_config_files_of_a_run_lie_over_those_of_an_image_of_its_own_dockerfile(lab: Lab) -> None:
    source = lab.folder / "source-1"
    source.mkdir()
    (source / "conf.yaml").write_text("depth: 3\n")
    (source / "Dockerfile.launch").write_text(f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n")
    trial = lab.run(
        "import os\nprint(os.getcwd(), open('conf.yaml').read())", queue=QUEUE, files={"conf.yaml": {"depth": 4}}
    )
    assert trial.outcome.succeeded, trial.outcome.error
    assert trial.lines[-2:] == ["/app depth: 4", ""] or "/app depth: 4" in trial.text
    (source / "Dockerfile.launch").write_text(f"FROM {BASE}\nCOPY . .\n")
    source.rename(lab.folder / "source-2")
    with pytest.raises(InvalidSpecError, match="has no WORKDIR"):
        lab.run("print(1)", queue=QUEUE, files={"conf.yaml": {"depth": 4}})


def test_what_leads_out_of_the_source_is_refused(code: Code) -> None:
    request = code.request()
    (request.start / "out").symlink_to("/etc")
    (request.start / "Dockerfile.launch").symlink_to("/etc/passwd")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dockerfile": "../Dockerfile"}, "leads out of the source"),
        ({"dockerfile": "/etc/passwd"}, "leads out of the source"),
        ({"dockerfile": "out/passwd"}, "is a link out of the source"),
        ({"build_context": "out"}, "is a link out of the source"),
        ({}, "is a link out of the source"),
    ]
    for more, told in cases:
        wanted = BuildRequest(request.source, request.folder, request.start, ("run.py",), base_image=BASE, **more)
        with pytest.raises(InvalidSpecError, match=told):
            asyncio.run(code.image(wanted))
