"""The fully connected networks of LeCun et al. 1998, section III-C: no picture, only pixels.

    layer    what it does      output shape   parameters
    flatten                             784            0
    hidden1  300 units, squash          300      235,500
    hidden2  100 units, squash          100       30,100
    output   10 units, softmax           10        1,010
                                      total      266,610

784-300-100-10 made 3.05 % errors on MNIST in 1998, LeNet-5 0.95 % with a fifth of the parameters.
"""

from striate.errors import ArgumentError
from striate.layers import Dense, Flatten, Input
from striate.models import Sequential


def MLP(
    *hidden: int,
    input_shape: tuple[int, ...] = (28, 28, 1),
    classes: int = 10,
    activation: str = "relu",
    name: str = "mlp",
) -> Sequential:
    """A multilayer perceptron; `hidden` are the sizes of its hidden layers: (300, 100) if none."""
    hidden = hidden or (300, 100)
    if any(units < 1 for units in hidden):
        raise ArgumentError(f"MLP: a hidden layer has at least 1 unit, got {hidden}")
    return Sequential(
        [
            Input(shape=input_shape),
            Flatten(name="flatten"),
            *(
                Dense(units, activation=activation, name=f"hidden{number}")
                for number, units in enumerate(hidden, start=1)
            ),
            Dense(classes, activation="softmax", name="output"),
        ],
        name=name,
    )
