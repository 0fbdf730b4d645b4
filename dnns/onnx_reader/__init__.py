"""Networks from ONNX files: bounded parsing, constant folding, shapes, and layers."""
