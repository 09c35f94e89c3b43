"""W&B's `require`: a script that has the call runs unchanged."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def require(requirement: str | Iterable[str] | None = None, experiment: str | Iterable[str] | None = None) -> None:
    """Do nothing: every feature that W&B's `require("core")`, `"service"` and the like turn on is always on here.

    Args:
        requirement: W&B's name of a feature, or several.
        experiment: the older name of the same argument.

    Raises:
        TypeError: a name is no text.
    """
    for given in (requirement, experiment):
        names = [given] if isinstance(given, str) else given or []
        for name in names:
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # scripts are not all typed
                raise TypeError(f"require() takes the name of a feature, not {name!r}")
