"""What is told of two runs that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_sdk.run_diff import RunSide, run_diff
from launch_sdk.runs.source_files import source_files
from launch_sdk.runs.store import RunStore
from launch_sdk.specs.run_spec import RunSpec
from launch_sdk.specs.run_state import RunState
from launch_sdk.views import RunView

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = {"type": "object", "properties": {"token": {"type": "string", "format": "secret"}}}


def view(name: str, spec: RunSpec | None, config: dict[str, Any], summary: dict[str, Any]) -> RunView:
    parameters = spec.to_parameters() if spec is not None else config
    more: dict[str, Any] = dict.fromkeys(("job", "queue", "created", "started", "ended", "error", "url"))
    return RunView(
        name,
        name,
        RunState.FINISHED,
        **more,
        parameters=parameters,
        summary=summary,
        recorded=config,
        is_program=spec is not None,
    )


def environment(**packages: str) -> dict[str, Any]:
    return {"python": "3.11.7", "packages": [{"name": name, "version": one} for name, one in packages.items()]}


def spec(digit: int, **more: Any) -> RunSpec:
    return RunSpec(f"sha256:{digit:064d}", ("train.py",), inputs={"config": SCHEMA, "files": {}}, **more)


def test_all_that_differs_is_told_under_its_heading_and_nothing_else() -> None:
    before = RunSide(
        view("a", spec(1, args=("--x",)), {"t": {"lr": 0.1, "n": 1}, "token": "hush", "old": 1}, {"loss": 1.0, "n": 3}),
        {"train.py": b"a\nb\nc\n", "gone.py": b"1\n", "same": b"1", "data": b"\0"},
        environment(numpy="1.26", torch="2.1"),
    )
    after = RunSide(
        view(
            "b",
            spec(2, args=("--y",), files={"./c.yaml": {"d": 3}}),
            {"t": {"lr": 0.2, "n": 1}, "token": "other"},
            {"loss": 0.5, "n": 3, "acc": True},
        ),
        {"train.py": b"a\nB\nc\nd\n", "new.py": b"", "same": b"1", "data": b"\0\1"},
        environment(numpy="2.0", scipy="1.11"),
    )
    assert run_diff(before, after) == {
        "runs": ["a", "b"],
        "code": [
            {"what": "data", "change": "changed"},
            {"what": "gone.py", "change": "removed", "added": 0, "removed": 1},
            {"what": "new.py", "change": "added", "added": 0, "removed": 0},
            {"what": "train.py", "change": "changed", "added": 2, "removed": 1},
        ],
        "arguments": [{"what": "args", "before": ["--x"], "after": ["--y"]}],
        "config": [
            {"what": "t.lr", "before": 0.1, "after": 0.2},
            {"what": "token", "before": "(secret)", "after": "(secret)"},
            {"what": "old", "before": 1},
            {"what": "files.c.yaml.d", "after": 3},
        ],
        "packages": [
            {"what": "numpy", "before": "1.26", "after": "2.0"},
            {"what": "torch", "before": "2.1"},
            {"what": "scipy", "after": "1.11"},
        ],
        "metrics": [{"what": "loss", "before": 1.0, "after": 0.5}, {"what": "acc", "after": True}],
        "unknown": {},
    }


def test_a_run_does_not_differ_from_itself() -> None:
    side = RunSide(view("a", spec(1), {"x": float("nan")}, {"loss": float("nan")}), {}, environment())
    found = run_diff(side, side)
    assert not any(found[section] for section in ("code", "arguments", "config", "packages", "metrics", "unknown"))


def test_one_and_true_differ() -> None:
    sides = [RunSide(view("a", spec(1), {"x": value}, {})) for value in (1, True)]
    assert run_diff(*sides)["config"] == [{"what": "x", "before": 1, "after": True}]


def test_what_is_not_here_is_said_to_be_unknown() -> None:
    found = run_diff(RunSide(view("a", spec(1), {}, {})), RunSide(view("b", spec(2), {}, {}), {}, environment()))
    assert found["code"] == [{"what": "source", "before": spec(1).source, "after": spec(2).source}]
    assert found["packages"] == []
    assert found["unknown"] == {
        "code": "the source of a is not packed in this run store",
        "packages": "what a ran with is not recorded here",
    }


def test_runs_of_somebodys_flows_are_compared_by_their_parameters() -> None:
    found = run_diff(RunSide(view("a", None, {"x": 1}, {})), RunSide(view("b", None, {"x": 2}, {})))
    assert found["config"] == [{"what": "x", "before": 1, "after": 2}]
    assert "neither run is a program" in found["unknown"]["code"]


def test_the_files_of_a_packed_source_are_read_with_their_content(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "deep").mkdir(parents=True)
    (code / "deep" / "a.py").write_bytes(b"1\n")
    (code / "link").symlink_to("deep/a.py")
    store = RunStore(tmp_path / "store")
    pack = store.put_directory(code)
    assert source_files(pack.source, store) == {"deep/a.py": b"1\n", "link": b"link to deep/a.py"}
    assert source_files("sha256:" + "0" * 64, store) is None
    assert source_files(str(code), store) is None


def test_files_that_the_runs_had_used_are_compared_by_their_content() -> None:
    sides = [
        RunSide(
            view("a", spec(1), {}, {}),
            {},
            environment() | {"files": [{"name": "data.csv", "sha256": digest}, {"name": "same", "sha256": "1"}, "?"]},
        )
        for digest in ("1", "2")
    ]
    assert run_diff(*sides)["packages"] == [{"what": "file data.csv", "before": "1", "after": "2"}]
