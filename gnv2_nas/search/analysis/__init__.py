"""Results of a study: front, recommendation, comparison with stock, ablation, convergence."""
