"""A user's scheduler in a sweep: what it says becomes suggestions, early ends of runs and the end of the sweep.

It plays two parts that `plan` knows already, a sampler and a rule of early stopping. So everything that `plan` promises
holds with it too; whatever it says, it can start no run twice and none too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from launch_sdk.errors import LaunchError, RunFailedError
from launch_sdk.sweeps.early_stop.protocol import Decision
from launch_sdk.sweeps.planning import Finish
from launch_sdk.sweeps.runs import SweepRun, latest_attempts
from launch_sdk.tracking.values import decode, dumps, encode, is_array, is_object

if TYPE_CHECKING:
    from launch_sdk.specs.space import Space
    from launch_sdk.specs.sweep_spec import SweepSpec
    from launch_sdk.sweeps.early_stop.protocol import History
    from launch_sdk.sweeps.prior import PriorRun
    from launch_sdk.sweeps.samplers.protocol import Observation, Sampler

Message = Mapping[str, Any]
Answerer = Callable[[Message], Message]
MAX_PARAMETERS = 64_000  # characters of their JSON text
NO_METHOD = "method: custom has no suggestions of its own; name another method, or choose the run yourself"


class Talk(Protocol):
    """A connection to the program of a scheduler."""

    def ask(self, message: Message, answer: Answerer) -> Message:
        """Put a message and return the reply; a question in between is answered by `answer`.

        Raises:
            RunFailedError: no reply came; the message says why.
        """
        ...


class CustomScheduler:
    """Speaks with one scheduler for the time that one process drives its sweep.

    Args:
        talk: to its program.
        name: what a person calls it: its job.
        spec: the sweep.
        sampler: what the sweep's own method suggests; None for `custom`.

    Attributes:
        closing: how the sweep is to end once nothing runs any more; None while it goes on.
        state: what the scheduler wants kept for a resume.
        notice: what went wrong, for the sweep's user; None if nothing.
    """

    def __init__(self, talk: Talk, name: str, spec: SweepSpec, sampler: Sampler | None) -> None:
        self.talk = talk
        self.name = name
        self.spec = spec
        self.sampler = sampler
        self.closing: Finish | None = None
        self.state: Any = None
        self.notice: str | None = None
        self._told: dict[int, object] = {}
        self._stops: dict[str, str] = {}
        self._runs: dict[int, SweepRun] = {}

    def open(
        self,
        sweep_id: str,
        document: Mapping[str, Any],
        runs: Sequence[SweepRun],
        *,
        prior: Sequence[PriorRun] = (),
        state: Any = None,
    ) -> None:
        """Have the scheduler made: it is told the sweep and every run so far, and takes up its state."""
        spec, self.state = self.spec, state
        sweep = {
            "sweep_id": sweep_id,
            "config": document,
            "settings": spec.scheduler.settings,
            "num_workers": spec.num_workers,
            "run_cap": spec.run_cap,
            "prior": [{"parameters": run.parameters, "metric": run.value} for run in prior],
        }
        self._say({"do": "open", "sweep": encode(sweep), "state": encode(state), "runs": self._news(runs)})

    def poll(self, runs: Sequence[SweepRun]) -> None:
        """Begin a cycle: the scheduler hears what is new of the runs, and says what it wants."""
        self._stops = {}
        self._say({"do": "poll", "runs": self._news(runs)})

    def suggest(self, space: Space, observations: Sequence[Observation], index: int) -> dict[str, Any] | None:
        """Ask for the parameters of run `index`; None for no run now."""

        def own_method(_: Message) -> Message:
            if self.sampler is None:
                return {"error": NO_METHOD}
            try:
                return {"parameters": encode(self.sampler.suggest(space, observations, index))}
            except LaunchError as error:  # a sampler of Optuna's, or the user's search space in code
                return {"error": str(error)}

        reply = self._say({"do": "next", "index": index}, own_method)
        if reply.get("parameters") is None or self.closing is not None:
            return None
        parameters: object = decode(reply["parameters"])
        if not is_object(parameters) or not parameters:
            self._fail(f"suggested {_short(parameters)}, which is no mapping of parameters")
            return None
        if len(dumps(parameters)) > MAX_PARAMETERS:
            self._fail(f"suggested more than {MAX_PARAMETERS} characters of parameters")
            return None
        return parameters

    def decide(self, histories: Sequence[History]) -> Iterator[Decision]:
        """Give the runs that the scheduler wants ended, as a rule of early stopping does."""
        for history in histories:
            if history.is_active and history.run_id in self._stops:
                yield Decision(history.run_id, self._stops[history.run_id])

    def close(self, runs: Sequence[SweepRun]) -> None:
        """Have it clean up."""
        if self.notice is None:
            self._say({"do": "exit", "runs": self._news(runs)})

    def _news(self, runs: Sequence[SweepRun]) -> list[Any]:
        """Tell of the runs that are not as they were told of last."""
        news: list[Any] = []
        for run in latest_attempts(runs):
            self._runs[run.index] = run
            now = (run.run_id, run.state, run.curve.count, dict(run.summary), run.error, run.stop_reason)
            if self._told.get(run.index) != now:
                self._told[run.index] = now
                news.append(self._described(run))
        return news

    def _described(self, run: SweepRun) -> Any:
        return encode(
            {
                "index": run.index,
                "run_id": run.run_id,
                "state": run.state.value,
                "parameters": run.parameters,
                "metric": run.metric(self.spec.metric),
                "values": list(run.curve.values),
                "summary": run.summary,
                "error": run.error,
                "stop_reason": run.stop_reason,
            }
        )

    def _say(self, message: Message, answer: Answerer = lambda _: {"error": "not now"}) -> Message:
        """Put a message, unless the scheduler has failed before; what it wants besides is noted."""
        if self.notice is not None:
            return {}
        try:
            reply = self.talk.ask(message, answer)
        except RunFailedError as error:
            self._fail(str(error))
            return {}
        if reply.get("error"):
            self._fail(f"failed in {reply.get('hook')}: {reply['error']}")
            return {}
        self._take_wishes(reply)
        return reply

    def _take_wishes(self, reply: Message) -> None:
        self.state = decode(reply.get("state"))
        stops: object = reply.get("stops") or []
        for stop in stops if is_array(stops) else ():
            if is_array(stop) and len(stop) == 2 and isinstance(stop[0], int) and stop[0] in self._runs:  # noqa: PLR2004
                self._stops[self._runs[stop[0]].run_id] = " ".join(str(stop[1]).split())
        end: object = reply.get("end")
        if is_object(end) and self.closing is None:
            outcome = "failed" if end.get("outcome") == "failed" else "stopped"
            self.closing = Finish(cast("Any", outcome), str(end.get("reason")))

    def _fail(self, what: str) -> None:
        self.notice = f"The scheduler {self.name} {what}"
        self.closing = Finish("failed", self.notice)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004  # a line
