"""What a study is about: metrics, budgets, objectives, and the record of each network."""
