"""Networks in files that other tools wrote: what a file reads, counts of its graph, its bytes."""
