"""Ctrl-C that takes effect when a piece of work is complete."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from gnv2_nas.interrupts import DelayedInterrupt

INTERRUPTED = """
import signal
from gnv2_nas.interrupts import DelayedInterrupt

@DelayedInterrupt()
def write():
    signal.raise_signal(signal.SIGINT)
    print("written")
    {after}

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    write()
except KeyboardInterrupt as interrupt:
    print("interrupted after", repr(interrupt.__context__))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def what_is_printed(after: str) -> list[str]:
    """In a process of its own: an interrupt that goes astray would end the one of the tests."""
    command = [sys.executable, "-c", INTERRUPTED.format(after=after)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()


def test_ctrl_c_waits_for_the_end_of_the_block():
    assert what_is_printed("") == ["written", "interrupted after None", "True"]


def test_ctrl_c_shows_the_failure_that_came_first():
    lines = what_is_printed('raise ValueError("no room")')
    assert lines == ["written", "interrupted after ValueError('no room')", "True"]


def test_other_threads_are_left_alone():
    ran = []

    def work():
        with DelayedInterrupt():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran


SECOND = """
import signal
from gnv2_nas.interrupts import DelayedInterrupt

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with DelayedInterrupt(second_stops=True) as ctrl_c:
        signal.raise_signal(signal.SIGINT)
        print(ctrl_c.received)
        signal.raise_signal(signal.SIGINT)
        print("never")
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_second_one_stops_at_once_where_asked_to():
    command = [sys.executable, "-c", SECOND]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["True", "stopped"]


def test_where_it_is_ignored_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with DelayedInterrupt() as ctrl_c:
            signal.raise_signal(signal.SIGINT)
        assert not ctrl_c.received
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
