"""What lies in a folder of images, by names alone: neither torch nor Pillow is imported."""
