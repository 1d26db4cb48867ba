"""Studies in a database: made, opened, written to and read, whatever happens to it."""
