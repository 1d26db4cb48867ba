"""Landscapes for samplers: a truth, its noise, and a study that can be asked for nothing else."""
