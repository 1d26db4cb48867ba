"""Statistics in closed form: regression, rank agreement, intervals. Neither torch nor optuna.

Light to import: what needs SciPy, `gaussian_process`, is imported from its own module.
"""

from gnv2_nas.stats.ridge import Matrix, Ridge, Vector, fit_ridge

__all__ = ["Matrix", "Ridge", "Vector", "fit_ridge"]
