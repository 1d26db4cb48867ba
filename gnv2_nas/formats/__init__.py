"""Files that runtimes load, written from a graph: one folder a format."""
