"""Weights from PyTorch and Keras, matched name by name, with a report."""

from striate.interop.keras import load_keras
from striate.interop.report import Match, Report
from striate.interop.torch import load_torch

__all__ = ["Match", "Report", "load_keras", "load_torch"]
