"""Contents of image folders, by names alone. Imports neither torch nor Pillow."""
