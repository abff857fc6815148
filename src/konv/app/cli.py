"""The konv command: finds the verb on the shelf of commands, and turns a person's mistakes into one sentence."""

import errno
import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from konv.core.errors import BadRecipe, Elsewhere, KonvError, UnknownName
from konv.core.shelves import COMMANDS

MISTAKE = 2  # exit code of a mistake a person can mend
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}  # what a full or closed disk says
INTERRUPTED = 130  # 128 + SIGINT


def make_app() -> App:
    """Returns the command line; no verb is imported before it is called."""
    app = App(
        name="konv",
        help="Train, compare, look inside, shrink and ship convolutional networks. Start with: konv train",
        help_format="plaintext",
        version=_version,
        version_flags=["--version"],
        result_action="return_value",
    )
    for entry in COMMANDS.entries():
        name = entry.name.replace("_", "-")
        app.command(f"{COMMANDS.package}.{entry.name}:command", name=name, help=entry.description)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 2 a mistake told in one sentence, 130 / 143 interrupted."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads sleep: 2 to 8 × faster on a machine that is busy
    if "RANK" in os.environ:  # one of several processes: torch warns of what training/distribution.py does on purpose
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        result = make_app()(arguments, exit_on_error=False, print_error=False)
        return result if isinstance(result, int) else 0
    except KonvError as error:
        return MISTAKE if isinstance(error, Elsewhere) or _told_by_another(error) else _mistake(str(error))
    except CycloptsError as error:
        return MISTAKE if _told_by_another(error) else _mistake(" ".join(str(error).split()))
    except BrokenPipeError:  # `konv runs | head`: the reader has gone, which is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _mistake(f"{place}{error.strerror}; make room or choose another folder, then run the same command again.")
    except KeyboardInterrupt:
        print("konv: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _told_by_another(error: Exception) -> bool:
    """True for what every process that torchrun started finds out alike; the first of them tells it."""
    alike = isinstance(error, BadRecipe | UnknownName | CycloptsError)
    return alike and os.environ.get("RANK", "0") != "0"


def _mistake(sentence: str) -> int:
    print(f"konv: {sentence}", file=sys.stderr)
    return MISTAKE


def _version() -> str:
    from konv import __version__

    return __version__
