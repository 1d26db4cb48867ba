"""Regression in closed form, for every room that predicts: no torch, no optuna.

Light to import: what needs SciPy, `gaussian_process`, is imported from its own module.
"""

from gnv2_nas.regression.ridge import Matrix, Ridge, Vector, fit_ridge

__all__ = ["Matrix", "Ridge", "Vector", "fit_ridge"]
