"""Networks from the literature, each in a file that reads like its paper's table."""

from striate.applications.alexnet import AlexNet
from striate.applications.cifar_net import CifarNet
from striate.applications.cifar_resnet import ResNet20, ResNet32, ResNet44, ResNet56, ResNet110
from striate.applications.googlenet import GoogLeNet
from striate.applications.lenet5 import LeNet5
from striate.applications.lenet5_1998 import LeNet5_1998
from striate.applications.mlp import MLP
from striate.applications.preprocess import preprocess_input
from striate.applications.resnet import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from striate.applications.vgg import VGG16, VGG19

__all__ = [
    "MLP",
    "VGG16",
    "VGG19",
    "AlexNet",
    "CifarNet",
    "GoogLeNet",
    "LeNet5",
    "LeNet5_1998",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet34",
    "ResNet44",
    "ResNet50",
    "ResNet56",
    "ResNet101",
    "ResNet110",
    "ResNet152",
    "preprocess_input",
]
