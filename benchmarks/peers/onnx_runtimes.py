"""ONNX Runtime and OpenVINO: a file, a batch size and a number of threads to a function."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # [N, C, H, W]
Predict = Callable[[Images], NDArray[np.float32]]
Load = Callable[[str, int, int], Predict]


def onnxruntime_session(path: str, batch: int, threads: int) -> Predict:
    """All graph optimisations, fixed shapes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("batch", batch)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def openvino_model(path: str, batch: int, threads: int) -> Predict:
    """The latency hint, float32, one stream, fixed shapes."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    shape = model.input(0).partial_shape
    shape[0] = batch
    model.reshape(shape)
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()

    def predict(x: Images) -> Any:
        return request.infer([x], share_inputs=True, share_outputs=True)[0]

    return predict
