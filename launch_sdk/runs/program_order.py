"""What the process of a run tells a preloaded process: become this program. Spoken over a socket of their own.

The run's process sends one line of JSON, the order, and with it two descriptors: the program's output, and one end of
a pair of sockets whose other end the guard of the run's process holds (so that this guard sees when nothing of the
program is left, and can have it killed). It is answered `ready`, or `refused` with a reason; it says `go`; it is
answered `pid N` as soon as the program exists, `exit N` when that has ended, and by the end of the stream when nothing
that it started is left. The end of the stream in the other direction means that the run's process is gone.

Standard library only: a preloaded process imports this before anything else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

READY = b"ready\n"
GO = b"go\n"
REFUSED = b"refused "
RUN_ID_ROOM = 36  # bytes of the placeholder for a run's id in a preloaded process: as long as one is

# What an interpreter and the loader of the system read once, when they start.
_READ_AT_START = ("PYTHON", "LD_", "LC_", "MALLOC_", "GLIBC_")
_ALSO_AT_START = frozenset({"LANG", "LANGUAGE", "HOME"})
# What libraries read when they are imported: how many threads they take, above all.
_READ_AT_IMPORT = (
    *(
        "OMP_",
        "GOMP_",
        "KMP_",
        "MKL_",
        "OPENBLAS_",
        "BLIS_",
        "GOTO_",
        "BLAS_",
        "VECLIB_",
        "NUMEXPR_",
        "NUMBA_",
        "RAYON_",
    ),
    *("CUDA_", "CUBLAS_", "CUDNN_", "NCCL_", "ROCR_", "HIP_", "TORCH", "PYTORCH", "TF_", "XLA_", "JAX_", "TRITON_"),
    *("NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "JOBLIB_", "LOKY_", "POLARS_", "ARROW_", "MPL", "HF_", "TRANSFORMERS_"),
    *("TOKENIZERS_", "KERAS_"),
)
_OF_EACH_RUN = frozenset({"CUDA_VISIBLE_DEVICES"})  # read when a program first asks for a GPU, not before


@dataclass(frozen=True)
class ProgramOrder:
    """A program of Python's, as the command line of an interpreter names it.

    Attributes:
        argv: the whole argument vector, the interpreter first: what `sys.orig_argv` is to be.
        script: path of the file to run, as it was given; None for a module.
        module: name of the module to run, as in `python -m NAME`; None for a file.
        args: the program's own arguments.
        env: all of its variables.
        cwd: its working directory.
        cpus: the cores that it may use.
        run_id: of the run; what `runs.processes.has_processes` looks for.
    """

    argv: tuple[str, ...]
    script: str | None
    module: str | None
    args: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    cpus: tuple[int, ...]
    run_id: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> ProgramOrder:
        """Read an order."""
        order = cls(**json.loads(line))
        return replace(order, argv=tuple(order.argv), args=tuple(order.args), cpus=tuple(order.cpus))


def read_early(env: Mapping[str, str], modules: Sequence[str]) -> dict[str, str]:
    """Pick the variables that are read before the first line of a program: setting them in a fork would do nothing."""
    prefixes = _READ_AT_START + (_READ_AT_IMPORT if modules else ())
    return {
        name: value
        for name, value in env.items()
        if (name.startswith(prefixes) or name in _ALSO_AT_START) and name not in _OF_EACH_RUN
    }


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Name the variables that two environments do not have in common, sorted."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
