"""Jobs as a user has them: a real server, a real agent, programs that say what they were given."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conftest import Home, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

PROGRAM = """
import json, sys
from pathlib import Path
import launch_sdk as launch

with launch.init(config={"trainer": {"lr": 0.1, "steps": 3}, "fast": False, "key": "k"}, register="REGISTER") as run:
    launch.manage_config(
        include=["trainer", "key"],
        schema={"type": "object", "required": ["trainer", "key"], "properties": {
            "trainer": {"type": "object", "required": ["lr", "steps"], "properties": {
                "lr": {"type": "number", "minimum": 0}, "steps": {"type": "integer"},
            }},
            "key": {"type": "string", "format": "secret"},
        }},
    )
    launch.manage_config_file("conf/model.yaml")
    depth = Path("conf/model.yaml").read_text()
    print("seen", json.dumps({"config": dict(run.config), "args": sys.argv[1:], "file": depth}), flush=True)
    run.log({"loss": run.config["trainer"]["lr"]})
"""
MODEL = "# of the model\ndepth: 3  # layers\nkind: mlp\n"


@pytest.fixture(scope="module")
def agent(home: Home) -> Iterator[None]:
    """An agent on two queues."""
    assert home.run("launch", "queue", "create", "elsewhere").returncode == 0
    process = home.start("launch-agent", "--queues", "default,elsewhere", "--max-jobs", "2")
    yield
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def write_program(folder: Path, register: str = "") -> Path:
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "model.yaml").write_text(MODEL)
    wanted = f'"{register}"' if register else "False"
    (folder / "train.py").write_text(PROGRAM.replace('"REGISTER"', wanted))
    return folder


@pytest.fixture(scope="module")
def job(home: Home, agent: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job made of a real run."""
    del agent
    code = write_program(tmp_path_factory.mktemp("digits-of-a-run") / "code", "digits-of-a-run")
    done = home.run("launch", "-q", "default", str(code), "-E", "train.py", "-a", "quick=1", "--json")
    assert json.loads(done.stdout)["state"] == "finished", done.stderr
    assert (
        "This run is job digits-of-a-run:v0"
        in home.run("launch", "run", "logs", json.loads(done.stdout)["run_id"]).stdout
    )
    return "digits-of-a-run"


def seen(done: Any) -> Any:
    """What the program of a run says that it was given."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("seen ")]
    assert lines, done.stderr
    return json.loads(lines[-1].removeprefix("seen "))


def test_a_job_of_a_run_has_its_code_its_arguments_and_its_declared_inputs(home: Home, job: str) -> None:
    shown = home.json("launch", "job", "describe", f"{job}:latest")
    assert (shown["name"], shown["version"], shown["aliases"], shown["queue"]) == (
        "digits-of-a-run",
        "v0",
        ["latest"],
        "default",
    )
    assert (shown["entry_point"], shown["args"]) == (["train.py"], ["--quick=1"])
    assert shown["source"].startswith("sha256:")
    config = shown["inputs"]["config"]["properties"]
    assert set(config) == {"trainer", "key"}
    assert config["trainer"]["properties"]["lr"] | {"title": ""} == {
        "type": "number",
        "minimum": 0,
        "default": 0.1,
        "title": "",
    }
    assert "default" not in config["key"]
    assert set(shown["inputs"]["files"]["conf/model.yaml"]["properties"]) == {"depth", "kind"}
    assert "trainer.lr" in home.run("launch", "job", "describe", job).stdout
    assert job in [one["name"] for one in home.json("launch", "job", "list")]


def test_a_run_of_a_job_gets_its_values_in_config_and_file(home: Home, job: str) -> None:
    done = home.run(
        "launch", "--job", job, "-s", "trainer.lr=0.5", "-s", "files.conf/model.yaml.depth=7", "-n", "mine", "--json"
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert (view["job"], view["queue"], view["name"], view["summary"]) == (
        "digits-of-a-run",
        "default",
        "mine",
        {"loss": 0.5},
    )
    given = seen(done)
    assert given["config"] == {"trainer": {"lr": 0.5, "steps": 3}, "fast": False, "key": "k"}
    assert given["args"] == ["--quick=1"]
    assert given["file"] == MODEL.replace("3", "7")
    again = home.run("launch", view["run_id"], "-q", "-s", "trainer.steps=9", "--json")
    assert seen(again)["config"]["trainer"] == {"lr": 0.5, "steps": 9}
    refused = home.run("launch", view["run_id"], "-q", "-s", "fast=true")
    assert (refused.returncode, "config.fast: is no input" in refused.stderr) == (2, True)
    assert home.json("launch", "job", "describe", job)["version"] == "v0"


def test_on_another_queue_a_job_takes_the_same_values(home: Home, job: str) -> None:
    done = home.run("launch", "--job", job, "-q", "elsewhere", "-s", "trainer.lr=0.25", "--json")
    view = json.loads(done.stdout)
    assert (view["state"], view["job"], view["queue"]) == ("finished", "digits-of-a-run", "elsewhere"), done.stderr
    assert seen(done)["config"]["trainer"]["lr"] == 0.25


def test_what_is_no_input_is_refused_at_once_with_all_faults(home: Home, job: str) -> None:
    words = ["-s", "trainer.lr=-1", "-s", "trainer.rl=1", "-s", "fast=true", "-s", "files.conf/model.yaml.dept=1"]
    before = len(home.json("launch", "run", "list"))
    done = home.run("launch", "--job", job, *words)
    assert done.returncode == 2
    assert "has 4 faults" in done.stderr
    for told in (
        "config.trainer.lr: must be at least 0",
        "config.trainer.rl: is no input; the nearest is trainer.lr",
        "config.fast: is no input",
        "files.conf/model.yaml.dept: is no input; the nearest is depth",
    ):
        assert told in done.stderr
    assert len(home.json("launch", "run", "list")) == before


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"config": {"trainer": {"lr": -1}}}, "less than the minimum"),
        ({"config": {"fast": True}}, "'fast' was unexpected"),
        ({"files": {"other.yaml": {}}}, "'other.yaml' was unexpected"),
        ({"lr": 1}, "'lr' does not match"),
    ],
)
def test_the_server_itself_refuses_what_is_no_input(home: Home, job: str, parameters: Any, told: str) -> None:
    with httpx.Client(base_url=home.api_url) as http:
        deployment = http.get(f"/deployments/name/{job}/default").raise_for_status().json()
        answer = http.post(f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters})
    assert answer.status_code == 409
    assert told in answer.json()["detail"]


def test_a_sweep_searches_over_config_and_files_of_a_job(home: Home, job: str, tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "job": job,
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {
            "trainer": {"parameters": {"lr": {"values": [0.2, 0.1]}}},
            "files.conf/model.yaml.depth": {"values": [4]},
        },
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(document))
    shown = home.json("launch-sweep", str(path))
    assert (shown["state"], shown["best"]["metric"]) == ("finished", 0.1)
    output = home.run("launch", "run", "logs", shown["best"]["run_id"]).stdout
    assert "depth: 4  # layers" in output
    document["parameters"] |= {"fast": {"value": True}, "trainer": {"parameters": {"lr": {"min": -1.0, "max": 1.0}}}}
    document["method"] = "random"
    path.write_text(json.dumps(document, indent=1))
    refused = home.run("launch-sweep", str(path))
    assert refused.returncode == 2
    assert "parameters.trainer.lr: must be at least 0" in refused.stderr
    assert "parameters.fast: is no input" in refused.stderr


def test_config_files_of_a_plain_directory_are_set_and_swept_in_copies(home: Home, agent: None, tmp_path: Path) -> None:
    del agent
    code = write_program(tmp_path / "code")
    done = home.run(
        "launch", "-q", "default", str(code), "-E", "train.py", "-s", "files.conf/model.yaml.depth=5", "--json"
    )
    assert "depth: 5  # layers" in seen(done)["file"]
    here = home.run("launch", str(code), "-E", "train.py", "-s", "files.conf/model.yaml.depth=6")
    assert "depth: 6  # layers" in here.stdout
    document = {
        "program": "train.py",
        "method": "grid",
        "parameters": {"files.conf/model.yaml.depth": {"values": [8]}},
        "command": ["${interpreter}", "${program}", "${args}"],
    }
    (code / "sweep.yaml").write_text(json.dumps(document))
    shown = home.json("launch-sweep", str(code / "sweep.yaml"))
    output = home.run("launch", "run", "logs", shown["runs"][0]["run_id"]).stdout
    assert "depth: 8  # layers" in output
    assert '"args": []' in output
    assert (code / "conf" / "model.yaml").read_text() == MODEL


def test_a_job_of_code_learns_its_inputs_from_its_first_run(home: Home, agent: None, tmp_path: Path) -> None:
    del agent
    code = write_program(tmp_path / "code")
    words = ["launch", "job", "create", "code", str(code), "-E", "train.py", "-n", "from-code"]
    made = home.run(*words)
    assert (made.returncode, "until then it takes anything" in made.stderr) == (0, True)
    assert home.json("launch", "job", "describe", "from-code")["inputs"] is None
    assert home.run("launch", "--job", "from-code", "-s", "trainer.lr=0.3").returncode == 0
    shown = home.json("launch", "job", "describe", "from-code")
    assert (shown["version"], set(shown["inputs"]["config"]["properties"])) == ("v1", {"trainer", "key"})
    assert home.run("launch", "--job", "from-code", "-s", "fast=true").returncode == 2
    removed = home.run("launch", "--job", "from-code", "-s", 'files.conf/model.yaml.kind={"$delete": true}', "--json")
    assert json.loads(removed.stdout)["summary"] == {"loss": 0.1}, removed.stderr  # what is required has a value
    assert "kind" not in seen(removed)["file"]
    assert home.run("launch", "job", "delete", "from-code").returncode == 0
    gone = home.run("launch", "--job", "from-code")
    assert (gone.returncode, "Job 'from-code' does not exist" in gone.stderr) == (2, True)


SAYS_ITS_VERSION = """
import launch_sdk as launch

with launch.init(config={"lr": 0.1, "NEW": 1}) as run:
    print("content NUMBER", flush=True)
    run.log({"loss": run.config["lr"]})
"""


def test_every_version_of_a_job_can_be_started_wherever_a_job_is_named(home: Home, agent: None, tmp_path: Path) -> None:
    del agent
    create = ["launch", "job", "create", "code", str(tmp_path), "-E", "train.py", "-n", "many", "-q", "default"]
    schema = tmp_path.parent / "many-schema.yaml"
    told: list[str] = []
    for number, field in enumerate(["old", "new"]):
        (tmp_path / "train.py").write_text(SAYS_ITS_VERSION.replace("NUMBER", str(number)).replace("NEW", field))
        wanted = {"lr": {"type": "number", "default": 0.1, "maximum": number + 1}, field: {"type": "integer"}}
        schema.write_text(json.dumps({"type": "object", "properties": wanted}))
        told.append(home.run(*create, "--schema", str(schema), "-a", "mine", "-a", f"own-{number}").stderr)
    told.append(home.run(*create, "--schema", str(schema)).stderr)
    assert "Created job many:v0 on queue 'default'" in told[0]
    assert "Updated job many from v0 to v1" in told[1]
    assert "Alias 'mine' is now v1; it was v0." in told[1]
    assert "No changes: job many:v1 is this already" in told[2]
    # What a sweep file, a launch config and the command line name.
    (tmp_path / "sweep.json").write_text(
        json.dumps({"job": "many:own-0", "method": "grid", "parameters": {"old": {"values": [1]}}})
    )
    swept = home.json("launch-sweep", str(tmp_path / "sweep.json"))
    runs = {"sweep": swept["runs"][0]["run_id"]}
    config = json.dumps({"job": "many:v0", "overrides": {"run_config": {"old": 3}}})
    runs["config"] = home.json("launch", "-c", config)["run_id"]
    assert "content 0" in home.run("launch", "--job", "many:own-0", "-s", "old=2").stdout
    assert "content 1" in home.run("launch", "many:mine", "-s", "new=2").stdout
    assert "content 1" in home.run("launch", "many").stdout
    code = "import launch_sdk as launch; print(launch.launch('many:v0', config={'old': 4}, wait=False).refresh().job)"
    assert home.run("python", "-c", code, cwd=tmp_path.parent).stdout == "many\n"
    elsewhere = home.run("launch", "--job", "many:v0", "-q", "elsewhere")
    assert "content 0" in elsewhere.stdout, elsewhere.stderr
    for run_id in runs.values():
        assert "content 0" in home.run("launch", "run", "logs", run_id).stdout
    refused = home.run("launch", "--job", "many:v0", "-s", "new=2")
    assert (refused.returncode, "config.new: is no input" in refused.stderr) == (2, True)
    # What changed, and what is left after deletions.
    shown = home.json("launch", "job", "describe", "many")
    assert (shown["aliases"], shown["count"]) == (["latest", "mine", "own-1"], 2)
    changed = {one["what"]: (one["before"], one["after"]) for one in shown["changes"]["differences"]}
    assert set(changed) == {"source", "inputs.config.lr", "inputs.config.old", "inputs.config.new"}
    assert changed["inputs.config.old"][1] is None
    assert home.json("launch", "job", "describe", "many:v0")["changes"] == {"against": None, "differences": []}
    words = home.run("launch", "job", "describe", "many").stdout
    for text in ("changed", "inputs.config.new", "own-0"):
        assert text in words
    [listed] = [one for one in home.json("launch", "job", "list") if one["name"] == "many"]
    assert [one["version"] for one in listed["versions"]] == ["v1", "v0"]
    gone = home.run("launch", "job", "delete", "many:v0")
    assert "Version v0 of job many is deleted, and so is 'own-0'; its runs stay." in gone.stderr
    assert "many" in home.run("launch", "job", "list").stdout
    assert home.run("launch", "job", "delete", "many:mine").stderr == "Alias 'mine' of job many is deleted; v1 stays.\n"
    assert home.run("launch", "job", "delete", "many").returncode == 0


def test_what_is_no_option_here_is_refused_by_name_all_at_once(home: Home, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    for words, told in [
        (
            ["code", str(tmp_path), "-E", "train.py", "-b", "../abc", "-B", "no img"],
            ["container.build_context: '../abc' is no folder", "container.base_image: 'no img' is no name"],
        ),
        (["git"], ["git needs the URL"]),
        (["git", "ext::sh", "-n", "a b"], ["names ext as its transport"]),
        (["image", "me/x:1", "-D", "x", "-g", "main"], ["--dockerfile: an image has", "--git-hash: an image has"]),
        (["--run", "r", "-E", "x.py", "-p", "p"], ["--entry-point: --run takes it", "--project: --run takes it"]),
        (["code", str(tmp_path), "-n", "a b", "-a", "v3", "-a", "latest"], ["a-b would do", "'v3' is", "'latest' is"]),
        (["code", str(tmp_path), "-a", "x/y"], ["alias: 'x/y' is no alias", "main.py is not in"]),
    ]:
        done = home.run("launch", "job", "create", *words)
        assert (done.returncode, done.stdout) == (2, "")
        for text in told:
            assert text in done.stderr


def test_jobs_that_cannot_be_are_refused(home: Home, job: str, tmp_path: Path) -> None:
    code = write_program(tmp_path / "code")
    create = ["launch", "job", "create", "code", str(code)]
    for words, told in [
        ([*create], "main.py is not in"),
        ([*create, "-E", "train.py", "-n", "run-job"], "a flow of the product's own"),
        ([*create, "-E", "train.py", "-n", "a/b"], "is no name of a job"),
        ([*create, "-E", "train.py", "-n", job, "-q", "elsewhere"], "is on queue 'default'"),
        ([*create, "-E", "train.py", "-n", f"{job}-2", "-q", "nowhere"], "Queue 'nowhere' does not exist"),
        (["launch", "job", "create", "--run", "nope"], "'nope' is neither a directory nor a run"),
        (["launch", f"{job}:v7"], "has no 'v7'; there are 'latest', 'v0'"),
        (["launch", "nope"], "nor is it a job: launch job list"),
        (["launch", "job", "describe", f"{job}:v7"], "has no 'v7'; there are 'latest', 'v0'"),
        (["launch", "job", "delete", "nope"], f"'{job}'"),  # among the jobs there are
        (["launch", "--job", job, "-E", "x.py"], "the job has its own entry point"),
    ]:
        done = home.run(*words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert told in done.stderr
    with httpx.Client(base_url=home.api_url) as http:
        http.post("/flows/", json={"name": "somebodys"}).raise_for_status()
    done = home.run(*create, "-E", "train.py", "-n", "somebodys")
    assert (done.returncode, "'somebodys' is the name of a flow" in done.stderr) == (2, True)


CHANGES_A_RUN = """
import sys
import launch_sdk as launch

run = launch.Api().run(f"me/digits/{sys.argv[1]}")
run.config["bar"] = 32
run.summary["checked"] = True
run.update()
"""


def test_a_finished_run_shows_who_gave_its_values_and_can_be_changed(home: Home, job: str, tmp_path: Path) -> None:
    view = home.json("launch", "--job", job, "-s", "trainer.lr=0.5")
    script = tmp_path / "change.py"
    script.write_text(CHANGES_A_RUN)
    changed = home.run("python", str(script), view["run_id"])
    assert changed.returncode == 0, changed.stderr
    shown = home.json("launch", "run", "show", view["run_id"])
    assert shown["config"] == {"trainer": {"lr": 0.5, "steps": 3}, "fast": False, "bar": 32}
    assert shown["summary"] == {"loss": 0.5, "checked": True}
    assert "key" not in json.dumps(shown["provenance"])


LAYERED = """
import launch_sdk as launch

with launch.init(config={"lr": 0.1, "steps": 3, "own": 1}) as run:
    run.config.steps = 4
    run.log({"loss": run.config.lr})
"""


def test_the_server_says_who_gave_each_value_of_a_launched_run_and_of_a_sweeps(
    home: Home, agent: None, tmp_path: Path
) -> None:
    del agent
    (tmp_path / "train.py").write_text(LAYERED)
    (tmp_path / "config-defaults.yaml").write_text("lr: {value: 0.7}\nkind: {value: mlp}\n")
    sweep = "program: train.py\nmethod: grid\nmetric: {name: loss}\nparameters: {lr: {values: [0.3]}}\n"
    (tmp_path / "sweep.yaml").write_text(sweep)
    launched = home.json("launch", str(tmp_path), "-E", "train.py", "-q", "-s", "lr=0.2", "-s", "steps=9")
    swept = home.json("launch-sweep", "sweep.yaml", cwd=tmp_path)["runs"][0]
    below = [{"layer": "config-defaults.yaml", "value": 0.7}, {"layer": "init", "value": 0.1}]
    steps = [{"layer": "init", "value": 3}, {"layer": "script", "value": 4}]
    for run_id, layer, lr, more in [
        (launched["run_id"], "launch", 0.2, [{"layer": "launch", "value": 9}]),
        (swept["run_id"], "sweep", 0.3, []),
    ]:
        shutil.rmtree(home.path / "runs" / run_id)  # what is shown comes from the server
        assert home.json("launch", "run", "show", run_id)["provenance"] == {
            "lr": [*below, {"layer": layer, "value": lr}],
            "steps": [*steps, *more],
            "kind": [{"layer": "config-defaults.yaml", "value": "mlp"}],
            "own": [{"layer": "init", "value": 1}],
        }
        told = home.run("launch", "run", "show", run_id).stdout
        assert f"{layer}, over 0.1 of init, 0.7 of config-defaults.yaml" in told
        assert ("launch, over 4 of script, 3 of init" if more else "script, over 3 of init") in told


def test_a_sweep_of_a_job_from_the_server_alone_is_checked_too(home: Home, job: str) -> None:
    document = {"job": job, "method": "grid", "parameters": {"fast": {"values": [True]}}}
    with httpx.Client(base_url=home.api_url) as http:
        deployment = http.get("/deployments/name/run-sweep/default").raise_for_status().json()
        made = http.post(f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": {"sweep": document}})
        run_id = made.raise_for_status().json()["id"]

        def ended() -> Any:
            state = http.get(f"/flow_runs/{run_id}").json()["state"]
            return state if state["type"] in {"FAILED", "COMPLETED", "CRASHED"} else None

        state = eventually(ended, "the sweep should end")
    assert (state["type"], "parameters.fast: is no input" in state["message"]) == ("FAILED", True)
    resumed = home.run("launch-sweep", "--resume_id", run_id.replace("-", "")[-8:])
    assert (resumed.returncode, "parameters.fast: is no input" in resumed.stderr) == (1, True), resumed.stderr
    assert f"take the latest version of job {job}, which may have changed since" in resumed.stderr.replace("\n", " ")
