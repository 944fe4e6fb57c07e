"""A PyTorch module as an ONNX file, for the runtimes that have no networks of their own."""

import torch
from torch import Tensor, nn


def export(model: nn.Module, images: Tensor, path: str) -> None:
    """images [N, C, H, W], N > 1, to the classes' probabilities; N is the dimension "batch"."""
    was_training = model.training
    network = nn.Sequential(model, nn.Softmax(1)).eval()
    torch.onnx.export(
        network,
        (images.contiguous(),),
        path,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    model.train(was_training)
