"""What a user does, one module each: a request, its checks, and a run that reports events."""
