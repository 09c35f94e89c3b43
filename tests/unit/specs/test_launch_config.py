"""Launch configs: W&B's keys, what is refused, and what a command line changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.errors import InvalidSpecError
from launch_sdk.specs.document import Document
from launch_sdk.specs.launch_config import LaunchConfig, program_words
from launch_sdk.specs.launch_config_file import NOT_TAKEN, parse_launch_config, read_launch_config
from launch_sdk.specs.run_spec import RunSpec

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = r"""
uri: code
project: demo
name: first try
entity: team
queue: gpu
environment: current
overrides:
  args: [--epochs, 3, quick=true]
  entry_point: [train.py, --fast]
  run_config: {trainer: {lr: 1e-3}}
  files:
    conf/model.yaml: {depth: 7}
metric_sources:
  - stdout: 'loss=(?P<loss>\S+)'
"""
# The structure that W&B's documentation gives, with its tabs.
OF_SEED = """{
\t"entity": "me",
  "project": "p",
\t"git": {},
\t"name": "n",
\t"overrides": {
\t\t"args": [
\t\t\t"name1", "val1"
\t\t],
\t\t"run_config": {
\t\t\t"key1": 1
\t\t}
\t}
}"""


def parsed(value: Any) -> LaunchConfig:
    return parse_launch_config(Document(value))


def faults_of(text: str) -> list[str]:
    with pytest.raises(InvalidSpecError) as caught:
        read_launch_config(text)
    return [str(fault) for fault in caught.value.faults]


def test_a_file_says_everything_that_a_run_needs(tmp_path: Path) -> None:
    (tmp_path / "launch.yml").write_text(WHOLE)
    assert read_launch_config(str(tmp_path / "launch.yml")) == LaunchConfig(
        uri="code",
        project="demo",
        name="first try",
        entity="team",
        queue="gpu",
        environment="current",
        entry_point=("train.py", "--fast"),
        args=("--epochs", "3", "--quick=true"),
        config={"trainer": {"lr": 1e-3}},
        files={"conf/model.yaml": {"depth": 7}},
        metric_sources=({"stdout": r"loss=(?P<loss>\S+)"},),
    )


def test_the_json_of_the_wandb_documentation_is_read_from_a_string_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "launch.json").write_text(OF_SEED)
    wanted = LaunchConfig(entity="me", project="p", name="n", args=("name1", "val1"), config={"key1": 1})
    assert read_launch_config(OF_SEED) == wanted
    assert read_launch_config(str(tmp_path / "launch.json")) == wanted


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"args": {"lr": 0.1, "--fast": True}}, {"args": ("--lr=0.1", "--fast=True")}),
        ({"args": []}, {}),
        ({"entry_point": "python -m pkg 'a b'"}, {"entry_point": ("python", "-m", "pkg", "a b")}),
        ({"entry_point": []}, {}),
        ({"run_config": None}, {}),
    ],
)
def test_overrides_have_their_forms(overrides: dict[str, Any], said: dict[str, Any]) -> None:
    assert parsed({"overrides": overrides}) == LaunchConfig(**said)


@pytest.mark.parametrize("key", ["version", "git_version"])
def test_the_git_block_of_a_launch_config_names_a_version_and_a_repository(key: str) -> None:
    wanted = LaunchConfig(git_version="v1", git_repo="https://host/x")
    assert parsed({"git": {key: "v1", "repo": "https://host/x"}}) == wanted
    assert LaunchConfig(git_version="main").over(wanted).git_version == "main"


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        *[(name, "process") for name in ("local", "local-process", "process")],
        *[(name, "container") for name in ("container", "docker", "local-container")],
        *[(None, None), ("", None)],
    ],
)
def test_the_resource_of_a_launch_config_is_a_process_or_a_container(resource: str | None, wanted: str | None) -> None:
    assert parsed({"resource": resource}) == LaunchConfig(resource=wanted)


@pytest.mark.parametrize(
    ("git", "told"),
    [
        ({"commit": "x"}, "git.commit: unknown key"),
        ({"version": 3}, "git.version: must be text, not 3"),
        ({"version": "-x"}, "git: '-x' begins with a dash"),
        ({"repo": "ext::sh"}, "git.repo: 'ext::sh' names ext as its transport"),
        ({"repo": "file:///srv/x"}, "counts only where you type it"),
        ([], "git: must be a mapping"),
    ],
)
def test_a_git_block_that_cannot_be_is_refused(git: Any, told: str) -> None:
    assert any(told in fault for fault in faults_of(json.dumps({"git": git}))), faults_of(json.dumps({"git": git}))


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "uri: a\njob: b\nproject: 3\nqueu: q\nrun_config: {}\nresource: kubernetes\nenvironment: conda\n"
        "overrides:\n  args: 3\n  run_confg: {}\n  dockerfile: ../D\n  entry_point: '\"'\n  files: {x.yaml: 1}\n"
        "metric_sources:\n  - stdout: nothing\n"
    )
    told = faults_of(str(tmp_path / "bad.yaml"))
    for line, words in [
        (2, "job: there is a uri too"),
        (3, "project: must be text, not 3"),
        (4, "queu: unknown key; did you mean queue?"),
        (5, "run_config: unknown key; it stands below overrides"),
        (6, "resource: must be process or container, not 'kubernetes'"),
        (7, "environment: 'conda' is unknown"),
        (9, "overrides.args: must be a list of words"),
        (10, "overrides.run_confg: unknown key; did you mean run_config?"),
        (11, "overrides.dockerfile: '../D' leads out of the source"),
        (12, "overrides.entry_point: '\"': No closing quotation"),
        (13, "overrides.files.x.yaml: must be a mapping"),
        (15, "metric_sources[0].stdout: 'nothing' names no metric"),
    ]:
        assert [one for one in told if one.startswith(f"line {line}: {words}")], (line, words, told)
    assert len(told) == 12


@pytest.mark.parametrize("path", NOT_TAKEN, ids=".".join)
def test_a_key_of_wandb_that_has_no_meaning_here_is_refused_with_its_reason_unless_it_asks_for_nothing(
    path: tuple[str, ...],
) -> None:
    def nested(value: Any) -> dict[str, Any]:
        for key in reversed(path):
            value = {key: value}
        return value

    with pytest.raises(InvalidSpecError) as caught:
        parsed(nested({"a": 1}))
    assert caught.value.faults[0].message == f"has no meaning here: {NOT_TAKEN[path]}. Leave it out"
    assert parsed(nested({})) == parsed(nested(None)) == LaunchConfig()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; name a file"),
        ("nowhere.yaml", "the file cannot be read: No such file"),
        ("{", "not valid YAML"),
        ('{"job": "a", "job": "b"}', "job: given twice"),
        ('{"overrides": {"args": [["x"]]}}', "overrides.args[0]: must be a word, not ['x']"),
        ('{"overrides": {"args": {"x": null}}}', "overrides.args.x: must be text, a number or a truth value, not None"),
        ('{"overrides": {"run_config": {"a": "\\u0000"}}}', "overrides.run_config.a: holds a NUL"),
        ('{"overrides": {"entry_point": [""]}}', "must name the program to start"),
        ('{"overrides": []}', "overrides: must be a mapping"),
        ('{"name": " "}', "name: must be text"),
    ],
)
def test_what_is_no_launch_config_is_said(text: str, told: str) -> None:
    assert any(told in fault for fault in faults_of(text)), faults_of(text)


def test_a_list_is_no_launch_config() -> None:
    with pytest.raises(InvalidSpecError, match="must be a mapping, as in"):
        parsed(["uri"])


def test_the_command_line_wins_and_nested_values_are_merged() -> None:
    below = parsed(
        {
            "uri": "code",
            "queue": "gpu",
            "project": "p",
            "overrides": {"args": ["a"], "run_config": {"m": {"x": 1, "y": 1}}, "files": {"f.yaml": {"a": 1, "b": 1}}},
        }
    )
    above = LaunchConfig(queue="cpu", args=("b",), config={"m": {"y": 2}}, files={"f.yaml": {"b": 2}, "g.yaml": {}})
    assert above.over(below) == LaunchConfig(
        uri="code",
        queue="cpu",
        project="p",
        args=("b",),
        config={"m": {"x": 1, "y": 2}},
        files={"f.yaml": {"a": 1, "b": 2}, "g.yaml": {}},
    )
    assert below.config == {"m": {"x": 1, "y": 1}}
    other = LaunchConfig(job="digits").over(below)
    assert (other.uri, other.job) == (None, "digits")


def test_an_earlier_run_is_repeated_with_what_is_said() -> None:
    earlier = RunSpec("sha256:0", ("a.py",), ("x",), {"m": {"x": 1}}, name="old", project="p", job="digits")
    again = LaunchConfig(config={"m": {"y": 2}}, metric_sources=({"file": "m.csv"},)).spec_over(earlier)
    assert (again.entry_point, again.args, again.project, again.job) == (("a.py",), ("x",), "p", "digits")
    assert (again.config, again.name, again.metric_sources) == ({"m": {"x": 1, "y": 2}}, None, ({"file": "m.csv"},))


def test_what_cannot_be_given_is_refused_by_name() -> None:
    wanted = LaunchConfig(job="j", entry_point=("a",), queue="q")
    with pytest.raises(InvalidSpecError) as caught:
        wanted.refuse(("entry_point", "args", "queue"), "no")
    assert [str(fault) for fault in caught.value.faults] == ["entry_point: no", "queue: no"]


def test_words_with_an_equals_sign_become_options() -> None:
    assert program_words(["a=1", "--b=2", "c", "-d"]) == ("--a=1", "--b=2", "c", "-d")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a-.\t\x00", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "uri", "args"]), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = ["uri", "job", "overrides", "metric_sources", "queue", "docker", "x"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON | st.fixed_dictionaries({"args": JSON, "run_config": JSON})))
@settings(deadline=None, max_examples=150)
def test_any_document_is_read_or_refused_and_tabs_change_nothing(value: dict[str, Any]) -> None:
    outcomes: list[Any] = []
    for indent in (None, 2, "\t"):
        try:
            outcomes.append(read_launch_config(json.dumps(value, indent=indent)))
        except InvalidSpecError as error:
            outcomes.append(sorted((fault.path, fault.message) for fault in error.faults))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_config_file_is_named_once_and_in_any_way() -> None:
    with pytest.raises(InvalidSpecError, match=r"is the same file as 'c\.yaml'"):
        read_launch_config('{"uri": ".", "overrides": {"files": {"c.yaml": {"a": 1}, "./c.yaml": {"a": 2}}}}')
    below = read_launch_config('{"uri": ".", "overrides": {"files": {"./c.yaml": {"a": 1, "b": 1}}}}')
    assert LaunchConfig(files={"c.yaml": {"a": 2}}).over(below).files == {"c.yaml": {"a": 2, "b": 1}}
