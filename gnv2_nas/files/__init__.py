"""Files: found by name, written aside and renamed, and never anything else's destroyed."""
