"""The page of `gnv2-nas evaluate`."""
