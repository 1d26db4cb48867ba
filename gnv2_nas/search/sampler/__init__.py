"""`PredictorSampler` and its parts: encoders, surrogate models, candidates, acquisition."""
