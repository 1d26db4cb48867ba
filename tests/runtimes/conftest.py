"""The open device of the tests of measurement."""

from tests.measurement.conftest import cpu

__all__ = ["cpu"]
