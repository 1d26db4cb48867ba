"""What runs on a device: loaded networks, timed calls, the lock and the state of the machine.

The measurements of this machine call these modules. For another device, `devices/runner_program.py`
packs this folder into one file, `runner.pyz`, which the device runs: both use the same code. This
room imports the standard library, numpy and, in `*_session.py`, one inference engine. It runs on
Python 3.9.
"""
