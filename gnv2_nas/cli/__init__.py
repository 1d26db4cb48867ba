"""The command line: options in, tables and progress out. Commands import heavy rooms themselves."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from gnv2_nas.cli.console import print_line, say_error, take_over_messages
from gnv2_nas.cli.devices import app as devices
from gnv2_nas.cli.evaluate import evaluate
from gnv2_nas.cli.export import export
from gnv2_nas.cli.farm import app as farm
from gnv2_nas.cli.modules import modules
from gnv2_nas.cli.options import read_start_time
from gnv2_nas.cli.profile.command import profile
from gnv2_nas.cli.quality import app as quality
from gnv2_nas.cli.search import report, search
from gnv2_nas.cli.spaces import spaces
from gnv2_nas.cli.train import train
from gnv2_nas.commands import PROGRAM
from gnv2_nas.errors import Gnv2NasError
from gnv2_nas.files.streams import find_output_error, replace_streams

app = typer.Typer(
    help="Search and profile GhostNetV2 networks. Latency is measured on this machine, or on a "
    "device over ssh or adb: see gnv2-nas devices add --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (search, train, evaluate, profile, modules, report, export, spaces):
    app.command()(command)
app.add_typer(devices, name="devices")
app.add_typer(farm, name="farm")
app.add_typer(quality, name="quality")

# Typer does not export click's UsageError, the base of every wrong use of an option.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

INTERRUPTED = 130


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
    unreadable = _describe_undecodable(sys.argv[1:])
    code = _fail(unreadable, 2) if unreadable else _run()
    if (error := find_output_error()) is not None:
        say_error(f"standard output takes no more: {error.strerror or error}")
        code = code or 1
    # Not again when Python ends: a failure would change the exit code.
    sys.exit(code)


def _run() -> int:
    """Run the command of this process and return its exit code."""
    # By default torch's threads spin while they wait: on a busy machine a Zen-score then took
    # 13 s instead of 1 s. torch reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = app(prog_name=PROGRAM, standalone_mode=False, obj=read_start_time())
        if code == INTERRUPTED:  # typer returns this for a KeyboardInterrupt
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
        return _fail(f"a name is not UTF-8 text; rename the file or study ({error})", 2)
    except UsageError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if not message:  # no command: the help is shown already
            return 2
        context = getattr(error, "ctx", None)
        used = context.command_path if context else PROGRAM
        return _fail(f"{message.rstrip('.')} (see {used} --help)", 2)
    return code if isinstance(code, int) else 0


def _describe_undecodable(arguments: Sequence[str]) -> str | None:
    """Return an error message if an argument is not text, which no file or database could keep."""
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            encoding = sys.getfilesystemencoding()
            return (
                f"argument '{argument}' is not text in this locale's encoding, {encoding}; rename "
                "the file or study, or set a matching locale, such as LC_ALL=C.UTF-8"
            )
    return None


def _fail(message: str, code: int) -> int:
    say_error(message)
    return code
