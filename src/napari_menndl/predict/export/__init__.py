"""Networks as files of other programs: ONNX, and the packages of bioimage.io."""
