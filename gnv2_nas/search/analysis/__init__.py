"""What a study has found: front, knee, comparison with stock networks, ablation."""
