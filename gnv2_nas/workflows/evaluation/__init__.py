"""`gnv2-nas evaluate`: the picks of a study trained and measured beside their rivals."""
