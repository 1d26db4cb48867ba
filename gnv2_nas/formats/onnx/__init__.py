"""ONNX files at full precision, half precision and 8 bits."""
