"""ONNX operators with MACs: the rules that make a layer of each."""
