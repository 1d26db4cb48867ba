"""Finding the devices that the farms of a cluster serve. The process must be connected to Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.errors import DeviceError
from gnv2_nas.search.engine.worker_handle import describe_end

NAMESPACE = "gnv2-nas farm"
"""Of the actors, whose names are those of the devices: Ray gives a name once."""
SECONDS_TO_ANSWER = 30.0


class ServedDevice(msgspec.Struct, frozen=True):
    """A device of a farm as it is now."""

    name: str
    host: str
    machine: str
    """`identify_machine()` of the host."""
    profile: DeviceProfile
    queue: tuple[str, ...]
    """Searches that wait for it; it works for the first."""
    searches: tuple[str, ...]
    """Searches that have used it lately."""
    measured: int
    """Number of networks since it has been served."""
    failure: str
    """Why the last request failed; "" if it did not."""

    @property
    def reached_by(self) -> str:
        """Transport and address of a machine other than the host; "" if it is the host itself."""
        return "" if self.profile.transport == "local" else self.profile.reached_by


def list_served() -> list[str]:
    """List the names of the devices that the farms serve."""
    import ray.util

    actors = ray.util.list_named_actors(all_namespaces=True)
    return sorted(each["name"] for each in actors if each["namespace"] == NAMESPACE)


def find_actor(name: str) -> Any:
    """Return the `MeasuringActor` of a device; ask it within `explained`."""
    import ray

    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        raise DeviceError(
            f"no farm serves device {name} any more; its host starts one with gnv2-nas farm "
            f"--device {name}"
        ) from None


def describe(name: str) -> ServedDevice:
    """Return the state of a device.

    Raises:
        DeviceError: it is not served, or does not answer.
    """
    import ray

    with explained(name):
        told = ray.get(find_actor(name).describe.remote(), timeout=SECONDS_TO_ANSWER)
    return msgspec.json.decode(told, type=ServedDevice)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Raise `DeviceError` in the block for what Ray raises about the process of a device."""
    import ray

    try:
        yield
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise DeviceError(describe_end(error, f"the farm's process of device {name}")) from None
