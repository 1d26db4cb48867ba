"""Figures in two steps: plain data first, then the drawing."""
