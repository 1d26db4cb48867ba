"""ncnn's `.param` and `.bin`."""
