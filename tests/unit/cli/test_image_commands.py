"""`launch job create image`, the containers of jobs of code, and `launch image build`, on a server in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch_sdk.cli import images, jobs
from launch_sdk.cli.job_create import create
from launch_sdk.client import LaunchClient
from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.container import image_job_name
from launch_sdk.specs.job import Job
from launch_sdk.testing.fake_gateway import FakeGateway


def made(server: FakeGateway, *words: str) -> Job:
    """Make a job with the command's words, and return its newest version."""
    options = jobs._parse(["create", *words])  # pyright: ignore[reportPrivateUsage]
    with LaunchClient(server, tell=lambda _line: None) as client:
        create(client, options)
        return client.jobs()[-1]


@pytest.mark.parametrize(
    ("image", "name", "aliases"),
    [
        ("train:good", "job-train", ("latest", "good")),
        ("train", "job-train", ("latest",)),
        ("train:latest", "job-train", ("latest",)),
        ("train:v3", "job-train", ("latest",)),  # versions are called so
        ("ghcr.io:5000/me/train:1.2", "job-ghcr.io-5000-me-train", ("latest", "1.2")),
        (f"train@sha256:{'0' * 64}", "job-train", ("latest",)),
    ],
)
def test_a_job_of_an_image_is_named_after_it_and_its_version_after_the_tag(
    image: str, name: str, aliases: tuple[str, ...]
) -> None:
    job = made(FakeGateway(), "image", image)
    assert (job.name, job.aliases, job.spec.source, job.spec.entry_point) == (name, aliases, f"image:{image}", ())
    assert job.spec.container == {"image": image}


@pytest.mark.parametrize("image", ["sha256:cb36305b82b5", f"sha256:{'0' * 64}", "0" * 64])
def test_an_image_by_its_digest_alone_needs_a_name_for_its_job(image: str) -> None:
    with pytest.raises(InvalidSpecError, match="is a digest without a name") as error:
        made(FakeGateway(), "image", image)
    assert "-n" in str(error.value)


def test_an_image_by_its_short_digest_is_a_job_under_a_name_of_its_own() -> None:
    assert made(FakeGateway(), "image", "sha256:cb36305b82b5", "-n", "mine").name == "mine"


def test_a_long_name_of_an_image_is_cut_in_its_middle() -> None:
    name = image_job_name(f"registry.example.com/{'a' * 200}/end:1")
    assert len(name) == 128
    assert name.startswith("job-registry.example.com-aaa")
    assert ".." in name
    assert name.endswith("-end")


def test_a_description_stays_until_there_is_another() -> None:
    server = FakeGateway()
    assert made(server, "image", "train:a", "-d", "First.").description == "First."
    assert made(server, "image", "train:b", "-E", "python3 x.py").description == "First."
    again = made(server, "image", "train:b", "-E", "python3 x.py", "-d", "Second.")
    assert (again.version, again.description, again.to_json()["description"]) == ("v1", "Second.", "Second.")


def test_a_job_of_code_keeps_its_dockerfile_and_its_base(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Own").write_text("FROM x")
    first = made(FakeGateway(), "code", str(tmp_path), "-D", "Own", "-b", "docker")
    assert first.spec.container == {"dockerfile": "Own", "build_context": "docker"}
    assert made(FakeGateway(), "code", str(tmp_path), "-B", "python:3.12").spec.container == {
        "base_image": "python:3.12"
    }
    with pytest.raises(InvalidSpecError) as error:
        made(FakeGateway(), "code", str(tmp_path), "-D", "../x", "-B", "a:b", "-b", "/etc")
    told = str(error.value)
    for words in ("'../x' leads out of the source", "say one of them", "no folder of the source", "nothing is built"):
        assert words in told


def test_what_an_image_has_already_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        made(FakeGateway(), "image", "train", "-D", "x", "--environment", "auto", "-g", "main", "-r", "3.11")
    told = capsys.readouterr().err
    for flag in ("--dockerfile", "--environment", "--git-hash", "-r/--runtime"):
        assert flag in told
    with pytest.raises(InvalidSpecError, match="is no name of an image"):
        made(FakeGateway(), "image", "Not An Image")


def test_every_fault_of_an_image_to_build_is_told_at_once() -> None:
    words = ["build", "--push", "-n", "x", "-R", "{}", "--user-id", "0", "-D", "../D", "-B", "no image"]
    with pytest.raises(InvalidSpecError) as error:
        images.main(words)
    assert [fault.path for fault in error.value.faults] == [
        *("DIR", "--push", "--name", "--resource-args", "--user-id", "--base-image", "dockerfile"),
    ]
