"""Networks from the literature, each in a file that reads like its paper's table."""

from striate.applications.lenet5 import LeNet5
from striate.applications.lenet5_1998 import LeNet5_1998
from striate.applications.mlp import MLP

__all__ = ["MLP", "LeNet5", "LeNet5_1998"]
