"""Parts of `PredictorSampler`: parameters as numbers, models, candidates, and the choice among them."""
