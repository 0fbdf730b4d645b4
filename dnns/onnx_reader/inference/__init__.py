"""Shapes and values that ONNX does not infer."""
