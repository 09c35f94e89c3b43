"""Those who search: our methods, Optuna's samplers, W&B's engine. Each is asked for a point, knowing all before."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import optuna

from launch_sdk.specs.document import Document
from launch_sdk.specs.space import Space, parse_parameters
from launch_sdk.sweeps.samplers import Observation, make_sampler
from launch_sdk.sweeps.samplers.plain import Plain

if TYPE_CHECKING:
    from problems import Problem

HERE = Path(__file__).parent
WANDB_ENVIRONMENT = HERE / ".venv-wandb"  # made at first use
UV = str(Path(sys.executable).parent / "uv")
OURS = ("bayes", "tpe", "random")
OPTUNAS: dict[str, tuple[str, ...]] = {  # and the packages that each needs
    "optuna-tpe": (),
    "optuna-gp": ("torch", "scipy"),
    "optuna-cmaes": ("cmaes",),
    "optuna-random": (),
}
WANDB = "wandb"
SIDES = (*OURS, *OPTUNAS, WANDB)


class Side(Protocol):
    """A search. Its points are numbered from 0 in the order in which it gave them."""

    def suggest(self) -> Mapping[str, Any]: ...
    def tell(self, number: int, result: float) -> None: ...


def available() -> list[str]:
    """Name the sides whose packages are installed."""
    found = [name for name, needs in OPTUNAS.items() if all(importlib.util.find_spec(one) for one in needs)]
    return [*OURS, *found, WANDB]


def make_side(name: str, problem: Problem, seed: int) -> Side:
    if name in OURS:
        return Ours(name, problem, seed)
    return Wandb(problem, seed) if name == WANDB else Optuna(name, problem, seed)


class Ours:
    def __init__(self, method: str, problem: Problem, seed: int) -> None:
        self.space = space_of(problem.parameters)
        self.sampler = make_sampler(method, goal="minimize", seed=seed)
        self.observations: list[Observation] = []

    def suggest(self) -> Mapping[str, Any]:
        parameters = self.sampler.suggest(self.space, self.observations, len(self.observations))
        assert parameters is not None
        self.observations.append(Observation(len(self.observations), parameters, None, "running"))
        return parameters

    def tell(self, number: int, result: float) -> None:
        self.observations[number] = Observation(number, self.observations[number].parameters, result, "finished")


class Optuna:
    """A sampler as its documentation uses it, with its defaults and one seed."""

    def __init__(self, name: str, problem: Problem, seed: int) -> None:
        makers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
            "optuna-tpe": lambda: optuna.samplers.TPESampler(seed=seed),
            "optuna-gp": lambda: optuna.samplers.GPSampler(seed=seed),
            "optuna-cmaes": lambda: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
            "optuna-random": lambda: optuna.samplers.RandomSampler(seed=seed),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.study = optuna.create_study(sampler=makers[name]())
        self.plain = {".".join(path): Plain.of(one) for path, one in space_of(problem.parameters)}
        self.trials: list[optuna.Trial] = []

    def suggest(self) -> Mapping[str, Any]:
        self.trials.append(self.study.ask({name: one.distribution for name, one in self.plain.items()}))
        return {name: self.plain[name].decode(value) for name, value in self.trials[-1].params.items()}

    def tell(self, number: int, result: float) -> None:
        self.study.tell(self.trials[number], result)


class Wandb:
    """The package `sweeps`, in an environment of its own, in a process of its own."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.parameters = problem.parameters
        self.runs: list[tuple[Mapping[str, Any], float | None]] = []
        self.seed: int | None = seed
        self.process = subprocess.Popen(
            [str(wandb_python()), str(HERE / "wandb_engine.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def suggest(self) -> Mapping[str, Any]:
        question: dict[str, Any] = {"method": "bayes", "parameters": self.parameters, "runs": self.runs}
        if self.seed is not None:
            question["seed"], self.seed = self.seed, None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        self.runs.append((json.loads(self.process.stdout.readline()), None))
        return self.runs[-1][0]

    def tell(self, number: int, result: float) -> None:
        self.runs[number] = (self.runs[number][0], result)

    def __del__(self) -> None:
        self.process.kill()
        self.process.communicate()


def space_of(parameters: Mapping[str, Any]) -> Space:
    space, faults = parse_parameters(Document({"parameters": dict(parameters)}))
    assert not faults
    return space


def wandb_python() -> Path:
    """Give the Python of W&B's environment, which is made if it is not there."""
    python = WANDB_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", "3.11", str(WANDB_ENVIRONMENT)], check=True)
        wanted = ["sweeps", "setuptools<81"]
        subprocess.run([UV, "pip", "install", "--quiet", "--python", str(python), *wanted], check=True)
    return python
