"""The page of a study, and the same as CSV and JSON."""
