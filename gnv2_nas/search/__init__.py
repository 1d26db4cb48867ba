"""The search: budgets, objectives, samplers, the loop, the store and the front.

`request` and what it imports are light; `session`, `loop` and `store` load optuna.
"""
