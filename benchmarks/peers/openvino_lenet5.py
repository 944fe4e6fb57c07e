"""LeNet-5 in OpenVINO."""

import openvino
from onnx_lenet5 import OnnxPeer
from onnx_runtimes import openvino_model
from worker import serve

if __name__ == "__main__":
    serve(lambda: OnnxPeer(openvino_model, {"openvino": openvino.__version__}))
