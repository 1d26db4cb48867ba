"""Store studies in a database through Optuna."""
