"""The pictures of a sweep: really drawn, really decoded; and the process that draws them."""

from __future__ import annotations

import base64
import io
import json
import math
import random
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from launch_sdk.specs.document import Document
from launch_sdk.specs.run_state import RunState
from launch_sdk.specs.sweep_spec import parse_sweep
from launch_sdk.sweeps.chart import Axis, Chart, ChartRun
from launch_sdk.sweeps.drawing import DrawingProcess
from launch_sdk.sweeps.importance import importances
from launch_sdk.sweeps.pictures import DPI, WIDTH_IN, Picture, draw
from launch_sdk.sweeps.runs import SweepRun

if TYPE_CHECKING:
    from collections.abc import Iterator

Goal = Literal["minimize", "maximize"]
VALUES = st.one_of(
    st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)


def chart(values: list[float | None], columns: dict[str, list[Any]] | None = None, goal: Goal = "minimize") -> Chart:
    runs = [
        ChartRun(index, value, {name: column[index] for name, column in (columns or {}).items()}, is_over=True)
        for index, value in enumerate(values)
    ]
    return Chart("loss", goal, runs)


def size(picture: Picture) -> tuple[int, int]:
    """Decode a picture wholly and give its size."""
    head, _, data = picture.url.partition(",")
    assert head == "data:image/png;base64"
    content = base64.b64decode(data, validate=True)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    image = Image.open(io.BytesIO(content))
    image.load()
    assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 2
    return image.size


def search(count: int) -> Chart:
    """A sweep in which only `optimizer.lr` matters."""
    dice = random.Random(count)  # noqa: S311  # no secret
    rates = [10 ** dice.uniform(-4, 0) for _ in range(count)]
    losses = [None if index % 17 == 5 else abs(math.log10(rate) + 2) for index, rate in enumerate(rates)]
    others = {f"p{number}": [dice.random() for _ in rates] for number in range(10)}
    kinds = [dice.choice(["relu", "tanh"]) for _ in rates]
    return chart(losses, {"optimizer.lr": rates, "kind": kinds, **others})


@pytest.mark.parametrize("count", [8, 500])
def test_three_pictures_are_drawn_at_the_width_of_the_page(count: int) -> None:
    pictures = draw(search(count))
    assert [picture.title for picture in pictures] == ["Best so far", "Parameter importance", "Parallel coordinates"]
    assert {size(picture)[0] for picture in pictures} == {round(WIDTH_IN * DPI)}
    assert sum(len(picture.url) for picture in pictures) < 450_000


def test_nothing_is_drawn_before_two_runs_have_a_value() -> None:
    assert draw(chart([])) == []
    assert draw(chart([1.0], {"x": [1]})) == []
    assert draw(chart([1.0, None, None], {"x": [1, 2, 3]})) == []


def test_two_runs_are_enough_for_a_curve_and_too_few_for_importance() -> None:
    pictures = draw(chart([1.0, 2.0], {"x": [1, 2]}))
    assert [picture.title for picture in pictures] == ["Best so far", "Parallel coordinates"]
    assert all(size(picture) for picture in pictures)


@pytest.mark.parametrize(
    "values",
    [[3.0] * 8, [1e100, -1e100, 0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 1e-300, 1e100, 5.0, 6.0, 7.0], [1e-9, 1.0, 1e9] * 3],
)
def test_constant_and_enormous_metrics_are_drawn(values: list[float | None]) -> None:
    assert all(size(picture) for picture in draw(chart(values, {"x": list(range(len(values)))})))


@settings(deadline=None, derandomize=True, max_examples=5)
@given(st.data())
def test_whatever_the_parameters_are_it_is_drawn(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 9))
    columns = {
        name: data.draw(st.lists(VALUES, min_size=count, max_size=count))
        for name in data.draw(st.lists(st.text(max_size=8), max_size=4, unique=True))
    }
    metrics: list[float | None] = [float(index) for index in range(count)]
    assert all(size(picture) for picture in draw(chart(metrics, columns)))


def test_hostile_names_are_drawn_as_text() -> None:
    names = ["$x^{", "a\nb", "<script>", "`|`", "\N{SNOWMAN} päräm"]
    columns = {name: [f"${index}_{{", f"{index}\n", "\\frac"] for index, name in enumerate(names)}
    assert all(size(picture) for picture in draw(chart([1.0, 2.0, 3.0], columns)))


@settings(deadline=None, derandomize=True)
@given(st.lists(VALUES, min_size=1, max_size=20), st.booleans())
def test_an_axis_places_everything_between_its_ends(values: list[Any], logarithmic: bool) -> None:
    axis = Axis.of(values, logarithmic)
    assert len(axis.places) == len(values)
    assert all(0.0 <= place <= 1.0 + 1e-9 for place in axis.places)
    assert all(-1e-9 <= place <= 1.0 + 1e-9 for place, _ in axis.ticks)


def test_numbers_keep_their_order_and_a_wide_range_is_logarithmic() -> None:
    assert Axis.of([0.0, 5.0, 10.0]).places == [0.0, 0.5, 1.0]
    powers = Axis.of([16, 32, 64, 128, 16])
    assert powers.is_logarithmic
    assert powers.places == pytest.approx([0, 1 / 3, 2 / 3, 1, 0])
    assert [text for _, text in powers.ticks] == ["16", "32", "64", "128"]
    assert Axis.of([1e-17, 0.5, 1.0]).ticks[0] == (0.0, "0")
    assert not Axis.of([0.01 * number for number in range(1, 100)]).is_logarithmic


def test_the_best_comes_first_in_either_direction() -> None:
    values: list[float | None] = [2.0, None, 1.0, 3.0, 1.0]
    assert [run.index for run in chart(values).best_first] == [2, 4, 0, 3]
    assert [run.index for run in chart(values, goal="maximize").best_first] == [3, 0, 2, 4]
    assert chart(values).best_so_far() == [(0, 2.0), (2, 1.0), (3, 1.0), (4, 1.0)]
    assert chart(values, goal="maximize").best_so_far() == [(0, 2.0), (2, 2.0), (3, 3.0), (4, 3.0)]


def test_the_parameter_that_decides_weighs_most() -> None:
    weights = search(60).importances()
    assert next(iter(weights)) == "optimizer.lr"
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["optimizer.lr"] > 0.4


def test_importance_agrees_with_the_library_of_its_authors_on_what_matters() -> None:
    optuna = pytest.importorskip("optuna")
    dice = random.Random(3)  # noqa: S311  # no secret
    rows = [{name: dice.random() for name in "abcd"} for _ in range(120)]
    values = [(row["a"] - 0.3) ** 2 + 0.2 * (row["b"] - 0.7) ** 2 for row in rows]
    order = sorted(range(120), key=values.__getitem__)
    ours = importances({name: [rows[i][name] for i in order] for name in "abcd"})
    study = optuna.create_study()
    scale = optuna.distributions.FloatDistribution(0.0, 1.0)
    study.add_trials(
        [
            optuna.trial.create_trial(params=row, distributions=dict.fromkeys(row, scale), value=value)
            for row, value in zip(rows, values, strict=True)
        ]
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
    assert list(ours)[:2] == list(theirs)[:2] == ["a", "b"]
    assert ours["a"] == pytest.approx(theirs["a"], abs=0.15)


def test_too_few_runs_weigh_nothing() -> None:
    assert importances({}) == {}
    assert importances({"a": [0.0, 1.0, 0.5]}) == {}


def test_a_chart_is_taken_from_runs_and_survives_json() -> None:
    spec = parse_sweep(
        Document(
            {
                "program": "t.py",
                "method": "random",
                "metric": {"name": "loss"},
                "parameters": {"o": {"parameters": {"lr": {"distribution": "log_uniform_values", "min": 1, "max": 9}}}},
            }
        )
    )
    states = [RunState.FINISHED, RunState.FAILED, RunState.RUNNING, RunState.FINISHED, RunState.FINISHED]
    metrics = [1.0, 2.0, 3.0, math.nan, 1e308]
    runs = [
        SweepRun(index, 0, str(index), "", state, {"o": {"lr": 2.0}}, {"loss": value})
        for index, (state, value) in enumerate(zip(states, metrics, strict=True))
    ]
    taken = Chart.of(spec, runs)
    assert taken is not None
    assert [run.value for run in taken.runs] == [1.0, None, None, None, 1e100]
    assert list(taken.logarithmic) == ["o.lr"]
    assert Chart.from_json(json.loads(json.dumps(taken.to_json()))).best_first == taken.best_first


@pytest.fixture(scope="module")
def process() -> Iterator[DrawingProcess]:
    """One for all tests here: it takes a second to start."""
    with DrawingProcess() as started:
        yield started


def test_a_process_draws_what_this_one_would(process: DrawingProcess) -> None:
    wanted = search(8)
    assert process.draw(wanted) == draw(wanted)
    assert process.draw(chart([1.0])) == []


def test_a_chart_that_cannot_be_drawn_is_an_error_and_the_process_goes_on(process: DrawingProcess) -> None:
    broken = Chart("loss", "minimize", [ChartRun(0, 1.0, {}, True), ChartRun(1, "no number", {}, True)])  # pyright: ignore[reportArgumentType]  # on purpose
    with pytest.raises(RuntimeError, match="could not be drawn"):
        process.draw(broken)
    assert process.draw(chart([1.0, 2.0], {"x": [1, 2]}))


def test_a_process_that_died_is_replaced(process: DrawingProcess) -> None:
    process.start()
    assert process.process is not None
    process.process.kill()
    process.process.wait(10)
    assert process.draw(chart([1.0, 2.0], {"x": [1, 2]}))
