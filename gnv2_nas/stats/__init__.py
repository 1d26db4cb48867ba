"""Statistics in closed form: regression, rank agreement, intervals. Neither torch nor optuna.

Nothing is imported here: `intervals` is needed where NumPy is not.
"""
