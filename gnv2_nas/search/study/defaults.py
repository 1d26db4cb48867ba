"""Default options of a search. Imports nothing, so that help is fast."""

from __future__ import annotations

SPACE = "ghostnetv2"
DEVICE = "cpu"
QUALITY = "zen"
OBJECTIVES = "quality,latency"
SAMPLER = "predictor"
TRIALS = 96
TIMEOUT = "5m"
SEED = 0
WORKERS = 1
ABLATIONS = 8
STORAGE = "sqlite:///studies.db"
REPORTS = "reports"
