"""What a user does, one module each: checked, then run."""
