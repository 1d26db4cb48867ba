"""Searching: check the request, open the study, run the search, and write the report."""
