"""The report of a study, the page of a training, and the model card of an export."""
