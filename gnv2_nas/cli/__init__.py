"""The command line: typer, no logic. Heavy rooms are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import typer

from gnv2_nas.cli.console import print_line, say_error, take_over_messages
from gnv2_nas.cli.devices import app as devices
from gnv2_nas.cli.export import export
from gnv2_nas.cli.profile import profile
from gnv2_nas.cli.quality import app as quality
from gnv2_nas.cli.report import report
from gnv2_nas.cli.search import search
from gnv2_nas.cli.spaces import spaces
from gnv2_nas.cli.streams import output_error, replace_streams
from gnv2_nas.cli.train import train
from gnv2_nas.devices import huge_pages
from gnv2_nas.errors import Gnv2NasError

app = typer.Typer(
    help="Search and profile GhostNetV2 networks on the device they ship on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (search, train, profile, report, export, spaces):
    app.command()(command)
app.add_typer(devices, name="devices")
app.add_typer(quality, name="quality")

# Typer keeps click's exceptions to itself; BadParameter's base is every wrong use of an option.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130
BEGAN = "GNV2_NAS_BEGAN"
"""Environment variable: when this command began, of `time.monotonic`."""


@app.callback(invoke_without_command=True)
def _main(
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    if version:
        from gnv2_nas import __version__

        print_line(f"gnv2-nas {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an error is one line on standard error, never a traceback."""
    replace_streams()
    take_over_messages()
    unreadable = _not_text(sys.argv[1:])
    code = _fail(unreadable, 2) if unreadable else _run()
    if (error := output_error()) is not None:
        say_error(f"standard output takes no more: {error.strerror or error}")
        code = code or 1
    # Not again when Python ends: a failure would change the exit code.
    sys.exit(code)


def _run() -> int:
    """Carry out the command of this process; its exit code."""
    # The time limit of a search includes what it takes to start it anew.
    began = float(os.environ.get(BEGAN) or time.monotonic())
    # By default torch's threads spin while they wait: on a busy machine a Zen-score then took
    # 13 s instead of 1 s. Read when torch is loaded, so it is set before anything is.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.argv[1:2] in (["profile"], ["search"]) or sys.argv[1:3] == ["devices", "fit"]:
        os.environ[BEGAN] = str(began)
        huge_pages.restart()
    os.environ.pop(BEGAN, None)
    try:
        code = app(standalone_mode=False, obj=began)
        if code == INTERRUPTED:  # which typer makes of a KeyboardInterrupt
            raise KeyboardInterrupt
    except Gnv2NasError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except OSError as error:
        return _fail(f"cannot go on: {error.strerror or error}", 1)
    except MemoryError:
        return _fail("out of memory; what was finished is kept", 1)
    except UnicodeError as error:
        return _fail(f"a name is not UTF-8 text; rename what it names ({error})", 2)
    except UsageError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if not message:  # no command: the help is shown already
            return 2
        return _fail(f"{message.rstrip('.')} (see gnv2-nas --help)", 2)
    return code if isinstance(code, int) else 0


def _not_text(arguments: Sequence[str]) -> str | None:
    """What to say of an argument that no study, report or file of weights could keep; None where
    all are text."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            encoding = sys.getfilesystemencoding()
            return (
                f"argument '{argument}' is not text in this locale's encoding, {encoding}; rename "
                "what it names, or set a locale that fits, such as LC_ALL=C.UTF-8"
            )
    return None


def _fail(message: str, code: int) -> int:
    say_error(message)
    return code
