"""Figures in two steps: `*_info` collects plain data, `*_figure` draws it."""
