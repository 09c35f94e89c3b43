"""Our Bayesian search as an Optuna sampler: what Optuna knows becomes evidence, the surrogate's point parameters."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import TrialState

from launch_sdk.sweeps.samplers.design import design_point
from launch_sdk.sweeps.samplers.surrogate import Evidence, propose
from launch_sdk.sweeps.samplers.unit_cube import UnitCube

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    Surrogate = Callable[[Evidence, Sequence[int], int], NDArray[np.float64]]

logger = logging.getLogger("launch_sdk.sweeps")

_LEAST_STARTUP = 5
_TELLING = (TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING)


class GaussianProcessSampler(BaseSampler):
    """Bayesian optimisation for Optuna: a design first, then `surrogate.propose`.

    The study, the number of the trial and the seeds decide everything; nothing is remembered between two suggestions.
    If its arithmetic fails, TPE makes that suggestion and a warning says so.

    Args:
        seed: of the fit and of independent draws; None for the trial's number.
        design_seed: of the design, which all the trials of a search share; None for `seed`.
        search_space: what to suggest; None for what all finished trials have in common.
        number: the number of the run to suggest, which chooses the point of the design; None for the trial's.
        surrogate: gives the next point from the evidence, the numbers of choices of the axes, and a seed.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        design_seed: int | None = None,
        search_space: dict[str, BaseDistribution] | None = None,
        number: int | None = None,
        surrogate: Surrogate = propose,
    ) -> None:
        self._seed = seed
        self._design_seed = design_seed if design_seed is not None else (seed or 0)
        self._search_space = search_space
        self._number = number
        self._surrogate = surrogate
        self._intersection = IntersectionSearchSpace()
        self._independent = RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Give the parameters to suggest together: those that can have more than one value."""
        del trial
        space = self._search_space if self._search_space is not None else self._intersection.calculate(study)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggest the parameters of `search_space`.

        Raises:
            ValueError: the study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        cube = UnitCube(search_space)
        number = trial.number if self._number is None else self._number
        evidence = _evidence(study, cube)
        if len(evidence.values) < startup_runs(len(search_space)):
            return cube.decode(cube.stretch(design_point(len(search_space), number, self._design_seed)))
        seed = number if self._seed is None else self._seed
        try:
            return cube.decode(self._surrogate(evidence, cube.choices, seed))
        except (ArithmeticError, ValueError) as error:  # among them NumPy's LinAlgError
            logger.warning("the Gaussian process failed on run %d, TPE suggests it instead: %r", number, error)
            return quiet_tpe(seed).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter that not all finished trials have.

        Raises:
            ValueError: the study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Give a copy of the sampler in another thread or process its own independent draws."""
        self._independent.reseed_rng()


def startup_runs(dimensions: int) -> int:
    """Give the number of results that the first fit waits for; small, so that a sweep of 20 runs gains from it too."""
    return max(_LEAST_STARTUP, dimensions + 1)


def quiet_tpe(seed: int) -> TPESampler:
    """Make Optuna's TPE sampler with the settings that measured best, without its warnings of being experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _evidence(study: Study, cube: UnitCube) -> Evidence:
    """Read the trials inside the space; those that ended without a finite result are as good as in flight.

    The other ways were measured on Branin, Hartmann-6 and Rosenbrock-4. To give a failed run the worst result, as W&B
    does, misleads a process that passes through every result when runs fail by chance; to drop it makes the search
    stay where runs always fail.
    """
    sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
    inside = [one for one in study.get_trials(deepcopy=False, states=_TELLING) if cube.contains(one.params)]
    done = [one for one in inside if one.state == TrialState.COMPLETE and np.isfinite(one.values).all()]
    measured = {one.number for one in done}
    others = [one for one in inside if one.number not in measured]
    values = sign * np.array([one.value for one in done], dtype=np.float64)
    return Evidence(_points(cube, done), values, _points(cube, others))


def _points(cube: UnitCube, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    return np.array([cube.encode(one.params) for one in trials], dtype=np.float64).reshape(len(trials), len(cube.space))
