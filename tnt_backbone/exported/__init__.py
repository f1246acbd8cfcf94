"""Models as ONNX files. Only ``to_onnx.py`` and ``parity.py`` need torch and the libraries."""
