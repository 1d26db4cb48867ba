"""The picks of a study beside their rivals: trained alike, as files, on its devices."""
