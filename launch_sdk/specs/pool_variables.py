"""What may be given to one run of a Prefect work pool of another type: nothing that reaches beyond its container.

What a pool's owner writes into its base job template counts for all of its runs and is not looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from launch_sdk.errors import Fault

UNSAFE: Final = frozenset(
    {
        "securitycontext",
        "hostpath",
        "hostpid",
        "hostipc",
        "hostnetwork",
        "hostusers",
        "hostport",
        "hostaliases",
        "shareprocessnamespace",
        "serviceaccount",
        "serviceaccountname",
        "automountserviceaccounttoken",
        "serviceaccounttoken",
        # The same of Docker pools:
        "volumes",
        "privileged",
        "networks",
        "networkmode",
        "containercreatekwargs",
        "devices",
        "capadd",
        # And what says which code runs, which the deployment says:
        "command",
    }
)
UNCONFINED: Final = "unconfined"
_PROFILES = ("seccomp", "apparmor")
OWN: Final = "this is for the owner of the pool, in its base job template"


def variable_faults(given: object, path: str = "") -> list[Fault]:
    """List what of job variables, or of a manifest in them, a submitter may not say, at any depth."""
    if isinstance(given, Mapping):
        return [
            fault
            for key, value in cast("Mapping[Any, Any]", given).items()
            for fault in _entry_faults(str(key), value, f"{path}.{key}".lstrip("."))
        ]
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        items = enumerate(cast("Sequence[Any]", given))
        return [fault for position, value in items for fault in variable_faults(value, f"{path}[{position}]")]
    return []


def _entry_faults(key: str, value: Any, path: str) -> list[Fault]:
    plain = key.replace("_", "").replace("-", "").lower()
    if plain in UNSAFE:
        return [Fault(path, f"Unsafe option {key!r}: {OWN}")]
    if plain == "mountpropagation" and value == "Bidirectional":
        return [Fault(path, f"Unsafe option {key!r}: {value!r} reaches the host's own mounts")]
    if any(word in plain for word in _PROFILES) and UNCONFINED in str(value).lower():
        return [Fault(path, f"Unsafe option {key!r}: {value!r}; {OWN}")]
    return variable_faults(value, path)
