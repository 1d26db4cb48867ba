"""ExecuTorch programs, delegated to XNNPACK as a whole."""
