"""`launch` of git addresses and versions as users type it, as far as no Prefect server is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.git_server import GitServer, serve

BIN = Path(sys.executable).parent
PROGRAM = "import sys, lib; print('value', lib.VALUE, sys.argv[1:])\n"


@dataclass
class Desk:
    """Where somebody works: a repository with a program, its server, and a LAUNCH_HOME."""

    base: Path
    server: GitServer

    @property
    def work(self) -> Path:
        return self.base / "work"

    @property
    def url(self) -> str:
        return f"{self.server.url}/origin.git"

    def git(self, *words: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        variables = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *name, *words], cwd=self.work, env=variables, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, value: int) -> str:
        (self.work / "lib.py").write_text(f"VALUE = {value}\n")
        self.git("add", "-A")
        self.git("commit", "-qm", f"value {value}")
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def run(self, *words: str, **variables: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [str(BIN / "launch"), *words],
            cwd=self.base,
            env={**os.environ, "LAUNCH_HOME": str(self.base / "home"), "GIT_CONFIG_GLOBAL": os.devnull, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def json(self, *words: str) -> Any:
        status, out, err = self.run(*words)
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with _desk_at(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def desk_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests that change nothing."""
    with _desk_at(tmp_path_factory.mktemp("desk")) as made:
        yield made


@contextmanager
def _desk_at(base: Path) -> Generator[Desk]:
    with serve(base) as server:
        made = Desk(base, server)
        made.work.mkdir()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(base / "origin.git")], check=True)
        made.git("init", "-q", "-b", "main")
        made.git("remote", "add", "origin", (base / "origin.git").as_uri())
        (made.work / "train.py").write_text(PROGRAM)
        made.commit(1)
        made.git("remote", "set-url", "origin", made.url)
        yield made


def _push(desk: Desk, value: int) -> str:
    desk.git("remote", "set-url", "--push", "origin", (desk.base / "origin.git").as_uri())
    return desk.commit(value)


def _id_of(err: str) -> str:
    return next(word for word in err.split() if word.startswith("run-"))


def test_a_repository_is_run_from_its_address_and_again_from_that_run(desk: Desk) -> None:
    status, out, err = desk.run(desk.url, "-E", "train.py", "-a", "k=v")
    assert (status, out) == (0, "value 1 ['--k=v']\n"), err
    assert f"of commit {desk.git('rev-parse', 'HEAD')[:12]} (main) of {desk.url}" in err
    run = _id_of(err)
    second = _push(desk, 2)
    assert desk.run(run)[1] == "value 1 ['--k=v']\n"
    status, out, err = desk.run(run, "-g", "main")
    assert (status, out) == (0, "value 2 ['--k=v']\n"), err
    assert "is not applied" not in err
    status, out, _ = desk.run(desk.url, "-E", "train.py", "-g", second[:8])
    assert (status, out) == (0, "value 2 []\n")


def test_a_version_in_place_of_what_a_run_had_leaves_its_changes_out_and_says_so(desk: Desk) -> None:
    first = desk.git("rev-parse", "HEAD")
    (desk.work / "lib.py").write_text("VALUE = 'changed'\n")
    status, out, err = desk.run("work", "-E", "train.py")
    assert (status, out) == (0, "value changed []\n"), err
    run = _id_of(err)
    assert desk.run(run)[1] == out
    for version in ("main", first):
        status, out, err = desk.run(run, "-g", version)
        assert (status, out) == (0, "value 1 []\n"), err
        assert f"What run {run} had besides its commit is not applied" in err
    shown = desk.json(run, "-c", json.dumps({"git": {"version": first}}), "--dry-run")
    assert (shown["code"]["commit"], shown["given_by"]["source"]) == (first, "--config")
    status, _, err = desk.run(run, "-g", "no-such")
    assert (status, f"{desk.url} has no branch or tag 'no-such'" in err) == (2, True)


def test_a_directory_is_run_as_one_of_its_commits_has_it(desk: Desk) -> None:
    first = desk.git("rev-parse", "HEAD")
    desk.git("tag", "v1")
    (desk.work / "lib.py").write_text("VALUE = 'changed'\n")
    status, out, err = desk.run("work", "-E", "train.py", "-g", "v1")
    assert (status, out) == (0, "value 1 []\n")
    assert "What is not committed in the directory is no part of it" in err
    shown = desk.json("run", "show", _id_of(err), "--json")["code"]
    assert (shown["commit"], shown["remote"]) == (first, desk.url)
    (desk.base / "plain").mkdir()
    status, _, err = desk.run("plain", "-g", "v1")
    assert (status, "is in no git repository, so it has no version 'v1'" in err) == (2, True)


def test_a_run_of_code_without_a_remote_has_no_other_versions(desk: Desk) -> None:
    desk.git("remote", "remove", "origin")
    _, _, err = desk.run("work", "-E", "train.py")
    run = _id_of(err)
    status, _, err = desk.run(run, "-g", "main")
    assert (status, "came from no git remote, so it has no version 'main'" in err) == (2, True)
    config = json.dumps({"git": {"version": "main", "repo": desk.url}})
    assert desk.run(run, "-c", config)[1] == "value 1 []\n"


def test_a_launch_config_names_a_repository_and_its_version_and_options_win(desk: Desk) -> None:
    desk.git("tag", "v1")
    desk.git("push", "-q", (desk.base / "origin.git").as_uri(), "v1")
    _push(desk, 2)
    config = {
        "uri": desk.url,
        "resource": "local",
        "name": "of the file",
        "git": {"git_version": "v1"},
        "overrides": {"entry_point": "train.py", "args": ["a"], "run_config": {"lr": 1, "m": {"x": 1, "y": 1}}},
    }
    (desk.base / "launch.json").write_text(json.dumps(config))
    assert desk.run("-c", "launch.json")[1] == "value 1 ['a']\n"
    shown = desk.json("-c", "launch.json", "-g", "main", "-s", "m.y=2", "-n", "mine", "-a", "b", "--dry-run")
    assert (shown["name"], shown["args"], shown["config"]) == ("mine", ["b"], {"lr": 1, "m": {"x": 1, "y": 2}})
    assert shown["command"][1:] == ["train.py", "b"]
    assert shown["given_by"] == {
        "source": "--config",
        "git_version": "--git-version",
        "entry_point": "--config",
        "args": "--args",
        "environment": "default",
        "name": "--name",
        "config.lr": "--config",
        "config.m.x": "--config",
        "config.m.y": "--set",
    }
    assert desk.run("-c", json.dumps({"git": {"repo": desk.url}, "overrides": config["overrides"]}))[0] == 0


def test_a_dry_run_of_a_repeated_run_says_what_came_from_it(desk: Desk) -> None:
    _, _, err = desk.run("work", "-E", "train.py", "-s", "lr=1")
    run = _id_of(err)
    given = desk.json(run, "-s", "seed=2", "--environment", "current", "--dry-run")["given_by"]
    assert given == {
        "source": f"run {run}",
        "entry_point": f"run {run}",
        "environment": "--environment",
        "config.lr": f"run {run}",
        "config.seed": "--set",
    }


def test_a_run_that_has_failed_is_started_again_and_no_other(desk: Desk) -> None:
    (desk.work / "train.py").write_text("import os, sys; sys.exit('EXIT' in os.environ)\n")
    status, _, err = desk.run("work", "-E", "train.py", EXIT="1")
    assert status == 1
    run = _id_of(err)
    status, _, err = desk.run(run, "--rerun-failed")
    assert (status, f"Replays run {run}" in err) == (0, True)
    status, _, err = desk.run(_id_of(err.partition(f"Replays run {run}")[2]), "--rerun-failed")
    assert (status, "is finished; only one that failed or was lost" in err) == (2, True)
    status, _, err = desk.run("--rerun-failed")
    assert status == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--", "-uhttps://host/x"], "begins with a dash, so it is an option and no address"),
        (["ext::sh -c 'touch was-run'"], "names ext as its transport, which could run any command"),
        (["file::/etc"], "names file as its transport"),
        (["git://host/x"], "uses git, which is no transport here"),
        (["http://example.org/x"], "is not encrypted"),
        (["-c", '{"uri": "file:///srv/x"}'], "counts only where you type it"),
        (["-c", '{"git": {"repo": "ext::sh", "version": "-x"}}'], "has 2 faults"),
        (["-c", '{"git": {"commit": "x"}}'], "git.commit: unknown key"),
        (
            ["-c", '{"uri": "work", "resource": "kubernetes"}'],
            "resource: must be process or container, not 'kubernetes'",
        ),
        (["URL", "-g", "--upload-pack=touch was-run"], "begins with a dash"),
        (["URL", "--git-version=--upload-pack=touch was-run"], "begins with a dash"),
        (["URL", "-u", "work"], "the URI stands twice"),
        (["URL", "-d", "me/image:1", "-A", "privileged=true"], "privileged: is nothing that a submitter may set"),
        (["URL", "-r", "kubernetes"], "must be container or process, not 'kubernetes'"),
        (["URL", "-E", "../train.py"], "'../train.py' leads out of the source"),
        (["URL", "-E", "missing.py"], "Entry point missing.py is not in"),
        (["URL"], "Entry point main.py is not in"),
        (["URL", "-g", "1" * 40], "If it is a commit of yours, push it, or launch its directory"),
        (["URL/nothing"], "There is no git repository at"),
        (["work", "-E", "train.py", "--environment", "auto"], "--environment current"),
        (["job", "create", "git", "ext::sh"], "names ext as its transport"),
    ],
)
def test_what_cannot_be_launched_is_said_and_nothing_runs(words: list[str], told: str, desk_of_all: Desk) -> None:
    desk = desk_of_all
    status, out, err = desk.run(*[word.replace("URL", desk.url) for word in words])
    assert (status in {1, 2}, out) == (True, ""), err
    assert told in err
    assert not list(desk.base.rglob("was-run"))


def test_what_has_no_requirements_still_runs_with_the_packages_that_are_here(desk_of_all: Desk) -> None:
    desk = desk_of_all
    words = ("-E", "train.py", "--environment", "current", "-r", "local", "-e", "team", "--args-list", "k=v")
    status, out, err = desk.run("-u", desk.url, *words)
    assert (status, out) == (0, "value 1 ['--k=v']\n"), err
    assert "Entity 'team' is W&B's" in err


def test_the_address_may_stand_behind_the_queue_option_as_in_wandbs_documents(desk_of_all: Desk) -> None:
    shown = desk_of_all.json("--queue", desk_of_all.url, "-E", "train.py", "--dry-run")
    assert (shown["queue"], shown["source"][:11]) == ("default", "git+sha256:")


def test_environments_are_listed_deleted_and_pruned(desk: Desk) -> None:
    (desk.work / "requirements.txt").write_text("# nothing\n")
    _, _, err = desk.run("work", "-E", "train.py", "--environment", "auto")
    [made] = desk.json("environment", "list", "--json")
    assert (made["made_of"], made["requirements"], made["in_use"]) == ("requirements.txt", [], False), err
    assert made["size_bytes"] > 0
    assert Path(made["path"]).is_dir()
    assert made["digest"][:12] in desk.run("environment", "list")[1]
    status, _, err = desk.run("environment", "delete", "zz")
    assert (status, f"there are {made['digest'][:12]}" in err) == (2, True)
    assert desk.json("environment", "prune", "--json") == []
    assert [one["digest"] for one in desk.json("environment", "prune", "--limit-gb", "0", "--json")] == [made["digest"]]
    assert desk.run("work", "-E", "train.py", "--environment", "auto")[0] == 0
    assert desk.json("environment", "delete", made["digest"][:6], "--json")["digest"] == made["digest"]
    assert desk.json("environment", "list", "--json") == []
