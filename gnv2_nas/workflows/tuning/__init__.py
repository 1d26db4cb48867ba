"""Tuning the form of files to a device."""
