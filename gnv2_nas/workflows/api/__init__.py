"""The workflows as Python functions."""
