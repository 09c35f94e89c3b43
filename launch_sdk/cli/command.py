"""What every command shares: exit codes, errors as sentences, one JSON document for machines."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from launch_sdk.errors import LaunchError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose `--help` keeps the examples as they are written, without abbreviated options."""

    def __init__(self, prog: str, description: str = "", examples: str = "", **options: Any) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"examples:\n{examples}" if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,
        )


def finish(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> NoReturn:
    """Run a command to its exit code; a LaunchError is a message, never a traceback."""
    _listen()
    try:
        code = main(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except RunFailedError as error:
        say(str(error))
        code = FAILED
    except LaunchError as error:
        say(f"error: {error}")
        code = WRONG_USE
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left: nothing to say, and what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except OSError as error:
        say(f"error: {error}")
        code = WRONG_USE
    sys.exit(code)


def _listen() -> None:
    """Take SIGTERM for Ctrl-C, and Ctrl-C even where a script's `&` has us ignore it: neither may leave runs behind."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def say(text: str) -> None:
    """Tell the person at the terminal; standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def how_to_call(command: str) -> str:
    """Return what the person can type to start one of our commands: its path where it is not on the PATH."""
    if shutil.which(command):
        return command
    path = Path(sys.argv[0]).with_name(command)
    return os.path.relpath(path) if path.exists() else command


def print_json(document: Any) -> None:
    """Print the one JSON document of a `--json` call."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # the terminal's encoding, or the bytes of a file name that is no text
        text = json.dumps(document, indent=2, allow_nan=False)
    print(text)
