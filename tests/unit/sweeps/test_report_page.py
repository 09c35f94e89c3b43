"""The texts of a sweep in the Prefect UI: what names become, tables, and text that means harm."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import SweepSpec, parse_sweep
from launch_sdk.sweeps.page import JOINER, MAX_LINKED, cell, headline, plain, summary_page, table
from launch_sdk.sweeps.pictures import Picture
from launch_sdk.sweeps.planning import Finish
from launch_sdk.sweeps.report import progress, short, short_names, varying_parameters
from launch_sdk.sweeps.runs import SweepRun

HARM = "<script>alert(1)</script> | `tick` ![x](http://evil)\n# heading"
NO_DEADLINE = settings(deadline=None, derandomize=True)
NAMES = st.lists(st.from_regex(r"[a-c]{1,2}(\.[a-c]{1,2}){0,3}", fullmatch=True), max_size=12)


def sweep(**more: Any) -> SweepSpec:
    document = {
        "program": "train.py",
        "method": "random",
        "metric": {"name": "loss"},
        "run_cap": 10,
        "parameters": {"lr": {"min": 0.0, "max": 1.0}},
    }
    return parse_sweep(Document(document | more))


def run(index: int, value: float | None, state: RunState = RunState.FINISHED, **more: Any) -> SweepRun:
    given: dict[str, Any] = {
        "summary": {} if value is None else {"loss": value},
        "parameters": {"lr": index / 10},
        "url": f"http://127.0.0.1:1/runs/flow-run/{index}",
    }
    return SweepRun(index, 0, f"id-{index}", f"run {index}", state, **given | more)


def test_names_are_shortened_to_the_last_part_that_tells_them_apart() -> None:
    assert short_names(["optimizer.lr", "seed"]) == ["lr", "seed"]
    assert short_names(["a.lr", "b.lr", "c.x"]) == ["a.lr", "b.lr", "x"]
    assert short_names(["m.a.lr", "m.b.lr", "lr"]) == ["a.lr", "b.lr", "lr"]


@NO_DEADLINE
@given(NAMES)
def test_different_names_stay_different_and_each_is_an_end_of_its_whole(names: list[str]) -> None:
    shortened = short_names(names)
    assert len(set(shortened)) == len(set(names))
    assert all(name == tail or name.endswith("." + tail) for name, tail in zip(names, shortened, strict=True))


def test_only_parameters_that_differ_are_compared() -> None:
    runs = [run(0, 1.0, parameters={"a": 1, "b": {"c": 1}}), run(1, 1.0, parameters={"a": 1, "b": {"c": 2}})]
    assert varying_parameters(runs) == ["b.c"]


@NO_DEADLINE
@given(st.text(max_size=400))
def test_markdown_of_any_text_is_one_line_with_every_mark_escaped(text: str) -> None:
    written = plain(text)
    assert "\n" not in written
    assert not re.search(r"(?<!\\)(?:\\\\)*[!-/:-@\[\]-`{-~]", written)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", written).rstrip("…") in " ".join(text.split())


@NO_DEADLINE
@given(st.text(st.sampled_from("ab1 _*`~<>[]()!&|\\#.-+\n"), max_size=40))
def test_a_cell_opens_nothing_that_markdown_reads(text: str) -> None:
    written = cell(text)
    assert not re.search(r"[*`~\n]", written)
    assert not re.search(r"[<\[!&\\](?!\u2060)", written)
    assert not re.match(r"[-+#>] ", written)
    assert len(written.replace(JOINER, "")) == len(short(text))


def test_a_harmless_cell_is_left_as_it_is() -> None:
    for text in ("relu", "-0.5", "weight_decay", "1e-06", "a, b (c)", "0.25"):
        assert cell(text) == text


def test_every_row_of_the_table_has_the_same_columns() -> None:
    runs = [run(0, 1.0, parameters={"a": 1}), run(1, None, RunState.FAILED, parameters={"b": 2}, error="no")]
    rows = table(sweep(), runs)
    assert [row["run"] for row in rows] == [1, 0]
    assert [list(row) for row in rows] == [["run", "loss", "state", "duration", "a", "b", "why", "link"]] * 2
    assert rows[0]["why"] == "no"


def test_a_parameter_called_like_a_column_keeps_its_own() -> None:
    (row,) = table(sweep(), [run(3, 1.5, parameters={"run": 7, "state": "x", "loss": 9})])
    assert (row["run"], row["state"], row["loss"]) == (3, "finished", "1.5")
    assert {"7", "x", "9"} <= {str(value) for value in row.values()}


def test_the_page_shows_text_that_means_harm_as_text() -> None:
    spec = sweep(name=HARM, description=HARM, metric={"name": HARM})
    runs = [
        run(0, None, summary={HARM: 1.0}, parameters={"a": HARM}),
        run(1, None, RunState.FAILED, error=HARM, parameters={"a": "b"}),
    ]
    page = summary_page(spec, runs, [], Finish("failed", HARM), [HARM])
    assert not re.search(r"(?<!\\)<|(?<!\\)!\[|(?<!\\)`", page)
    assert all(re.match(r"# |## |> |\||\*\*Ended|\d+ finished|\\<|$", line) for line in page.split("\n"))
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in page.split("\n") if line.startswith("|")]
    assert set(bars) == {3 + 1, 5 + 1}


def test_the_page_links_the_best_runs_and_at_most_a_hundred_of_all() -> None:
    page = summary_page(sweep(run_cap=500), [run(index, float(index)) for index in range(500)], [])
    assert len(re.findall(r"\| \[\d+\]\(http", page)) == 5 + MAX_LINKED
    assert "The last 100 of 500 runs" in page


def test_the_page_holds_its_pictures() -> None:
    page = summary_page(
        sweep(), [run(0, 1.0)], [Picture("Best so far", "Lower is better.", "data:image/png;base64,AA")]
    )
    assert "![Best so far](data:image/png;base64,AA)" in page


def test_the_headline_counts_and_names_the_best() -> None:
    spec = sweep()
    runs = [
        run(0, 2.0, started=0.0, ended=4.0),
        run(1, 1.0),
        run(2, None, RunState.FAILED),
        run(3, None, RunState.RUNNING),
    ]
    assert headline(spec, progress(spec, runs)) == (
        "2 finished of 10, 1 running, 1 failed, best loss 1 (run 1), about 4.0 s left"
    )


@NO_DEADLINE
@given(st.lists(st.sampled_from([None, float("nan"), float("inf"), -float("inf"), 0.0, -1e308, 1e308]), max_size=8))
def test_any_metric_can_be_written(values: list[float | None]) -> None:
    spec = sweep()
    runs = [run(index, value) for index, value in enumerate(values)]
    json.loads(json.dumps(table(spec, runs), allow_nan=False))
    assert summary_page(spec, runs, []).startswith("# Sweep")


def test_a_sweep_that_is_over_has_nothing_running_and_no_time_left() -> None:
    runs = [run(0, 1.0, started=0.0, ended=60.0), run(1, None, RunState.RUNNING)]
    state = progress(sweep(), runs)
    assert "1 running" in headline(sweep(), state)
    assert "left" in headline(sweep(), state)
    assert headline(sweep(), state, is_over=True) == "1 finished of 10, 1 not ended, 0 failed, best loss 1 (run 0)"
    assert "1 not ended" in summary_page(sweep(), runs, [], Finish("failed", "broken off"), [])
