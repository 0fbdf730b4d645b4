"""ONNX operators that are written out as several smaller ones: attention and recurrent layers."""
