"""Devices that searches use through Ray, each held by a process of the host that reaches it.

`gnv2-nas farm` starts a `MeasuringActor` for each device, and a search has a `FarmLane` for it.
"""
