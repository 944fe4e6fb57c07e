"""The networks in ONNX Runtime."""

import onnxruntime
from onnx_deepnets import OnnxPeer
from onnx_runtimes import onnxruntime_session
from worker import serve

if __name__ == "__main__":
    serve(lambda: OnnxPeer(onnxruntime_session, {"onnxruntime": onnxruntime.__version__}))
