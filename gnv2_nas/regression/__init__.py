"""Regression in closed form, for every room that predicts: NumPy alone, no torch, no optuna."""

from gnv2_nas.regression.ridge import Matrix, Ridge, Vector, fit_ridge

__all__ = ["Matrix", "Ridge", "Vector", "fit_ridge"]
