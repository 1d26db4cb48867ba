"""The shell script that runs one command on a device, and what it reports.

The login shell of a user may be any: sh, bash, fish, csh. It only ever sees `READ_SCRIPT`, whose
characters mean the same in all of them. That starts `sh`, which reads one line from its input, the
script, and carries it out; what follows the line is the input of the command. So words never pass
a shell other than a POSIX one, and no word is too long for a command line.

The script marks where the output of the command begins, because a user's start-up files may
print, and reports on the errors how it ended, because the exit code of ssh or adb may be their own.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence

import msgspec

from gnv2_nas.errors import DeviceError

READ_SCRIPT = "exec sh -c 'IFS= read -r s; eval \"$s\"'"
"""What the login shell runs."""

NO_COMMAND, NO_FOLDER = "no-command", "no-folder"
"""Reported instead of an exit code: nothing was run."""

_KILL = "{{ kill -9 -{0} || kill -9 {0}; }} >/dev/null 2>&1"
"""Kills a process with its children; without `setsid` on the device, the process alone."""


class Ended(msgspec.Struct, frozen=True):
    """What the script reported at its end."""

    result: str
    """Exit code, or one of `NO_COMMAND` and `NO_FOLDER`."""
    errors: bytes
    """What the command wrote to its errors."""


def write_script(command: Sequence[str], folder: str, token: str, *, reads_input: bool) -> bytes:
    """Return the script, one line.

    Args:
        command: program and arguments.
        folder: where it runs; made if it does not exist.
        token: a random word that marks the script's own output.
        reads_input: whether the command reads the input that follows. If not, its input is empty,
            and it is killed when the input that follows ends, that is, with the connection.
    """
    words = " ".join(map(quote, command))
    where = quote(folder)
    parts = [
        "n=$(printf '\\nx') n=${n%x}",
        f"printf '%s begin\\n' {token} >&2",
        f'fin() {{ printf \'\\n%s end %s\\n\' {token} "$1" >&2; exit "${{2:-$1}}"; }}',
        f"mkdir -p {where} && cd {where} || fin {NO_FOLDER} 1",
        f"command -v {quote(command[0])} >/dev/null 2>&1 || fin {NO_COMMAND} 127",
        f"printf '%s\\n' {output_mark(token).decode()}",
        "exec 3<&0",
        f"g=$(command -v setsid); $g {words} {'<&3' if reads_input else '</dev/null'} 3<&- & p=$!",
        f"printf '%s pid %s\\n' {token} $p >&2",
    ]
    if reads_input:
        parts += ["exec 3<&- </dev/null", "wait $p; fin $?"]
    else:
        parts += [
            f"{{ cat <&3; {_KILL.format('$p')}; }} >/dev/null 2>&1 & w=$!",
            "wait $p; c=$?; kill -9 $w; fin $c",
        ]
    return "; ".join(parts).encode(errors="surrogateescape") + b"\n"


def write_kill(pid: int) -> list[str]:
    """Return the command that kills what a script has started."""
    return ["sh", "-c", _KILL.format(pid)]


def quote(word: str) -> str:
    """Quote a word for a POSIX shell, on one line; `write_script` defines `$n` as a newline.

    Raises:
        DeviceError: the word has a zero character, which no command can be given.
    """
    if "\0" in word:
        raise DeviceError(f"{word!r} cannot be a word of a command: it has a zero character")
    return shlex.quote(word).replace("\n", "'\"$n\"'")


def new_token() -> str:
    """Return a random word that marks our own output in that of a command."""
    return f"gnv2-nas-{secrets.token_hex(8)}"


def output_mark(token: str) -> bytes:
    """Return the line after which the output of the command begins."""
    return f"{token}-output".encode()


def read_output(output: bytes, token: str) -> bytes:
    """Return the output of the command alone."""
    return output.partition(output_mark(token) + b"\n")[2]


def read_pid(errors: bytes, token: str) -> int:
    """Return the number of the process on the device; 0 if it has not started."""
    found = re.search(rb"%s pid (\d+)\n" % token.encode(), errors)
    return int(found[1]) if found else 0


def read_ending(errors: bytes, token: str) -> Ended | None:
    """Return what the script reported at its end; None if the end was not reached."""
    mark = token.encode()
    found = re.search(rb"\n%s end (\d{1,3}|no-[a-z]+)\n" % mark, errors)
    if found is None:
        return None
    written = errors[: found.start()]
    written = written.partition(mark + b" begin\n")[2]
    written = re.sub(rb"%s pid \d+\n" % mark, b"", written + b"\n")[:-1]
    return Ended(found[1].decode(), written)
