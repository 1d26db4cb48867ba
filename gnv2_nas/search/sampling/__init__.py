"""Parts of `PredictorSampler`: parameters as numbers, models, candidates, the choice among them."""
