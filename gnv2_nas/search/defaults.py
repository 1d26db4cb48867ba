"""What a search does when it is not told otherwise. Imports nothing, so that help is fast."""

SPACE = "ghostnetv2"
DEVICE = "cpu"
QUALITY = "zen"
OBJECTIVES = "quality,latency"
SAMPLER = "nsga2"
TRIALS = 120
TIMEOUT = "5m"
SEED = 0
STORAGE = "sqlite:///studies.db"
REPORTS = "reports"
