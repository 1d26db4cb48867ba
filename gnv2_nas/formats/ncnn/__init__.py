"""ncnn's `.param` and `.bin` files."""
