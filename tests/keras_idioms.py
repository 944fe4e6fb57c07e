"""Networks as Keras's users write them. `k` is keras or striate: nothing else differs.

An idiom returns the model to train, and the models that share its layers.
"""

from typing import Any

Models = tuple[Any, ...]


def residual_block(k: Any) -> Models:
    layers = k.layers
    inputs = k.Input(shape=(8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv0")(inputs)
    x = layers.BatchNormalization(name="norm0")(x)
    x = layers.Activation("relu", name="relu0")(x)
    shortcut = layers.Conv2D(12, 1, strides=2, name="project")(x)
    x = layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Activation("relu", name="relu1")(x)
    x = layers.Conv2D(12, 3, padding="same", use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(name="norm2")(x)
    x = layers.add([x, shortcut], name="sum")
    x = layers.Activation("relu", name="relu2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(3, activation="softmax", name="classes")(x)
    return (k.Model(inputs, outputs, name="residual"),)


def inception_block(k: Any) -> Models:
    layers = k.layers
    inputs = k.Input(shape=(8, 8, 3), name="image")

    def conv(x: Any, filters: int, size: int, name: str) -> Any:
        return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)(x)

    one = conv(inputs, 4, 1, "1x1")
    three = conv(conv(inputs, 3, 1, "3x3_reduce"), 5, 3, "3x3")
    five = conv(conv(inputs, 2, 1, "5x5_reduce"), 3, 5, "5x5")
    pool = layers.MaxPooling2D(3, strides=1, padding="same", name="pool")(inputs)
    pool = conv(pool, 2, 1, "pool_proj")
    x = layers.concatenate([one, three, five, pool], axis=-1, name="output")
    aux = layers.GlobalAveragePooling2D(name="aux_pool")(x)
    aux = layers.Dense(3, activation="softmax", name="aux")(aux)
    x = layers.MaxPooling2D(2, name="pool2")(conv(x, 6, 3, "last"))
    main = layers.Dense(3, activation="softmax", name="main")(layers.Flatten(name="flat")(x))
    return (k.Model(inputs, [main, aux], name="inception"),)


def two_inputs(k: Any) -> Models:
    layers = k.layers
    image = k.Input(shape=(8, 8, 3), name="image")
    numbers = k.Input(shape=(5,), name="numbers")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.Flatten(name="flat")(x)
    y = layers.Dense(6, activation="relu", name="hidden")(numbers)
    z = layers.Concatenate(name="both")([x, y])
    z = layers.Dense(3, activation="softmax", name="classes")(z)
    return (k.Model(inputs=[image, numbers], outputs=z, name="pair"),)


def siamese(k: Any) -> Models:
    layers = k.layers
    encoder = k.Sequential(
        [
            k.Input(shape=(8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(6, name="code"),
        ],
        name="encoder",
    )
    left = k.Input(shape=(8, 8, 3), name="left")
    right = k.Input(shape=(8, 8, 3), name="right")
    difference = layers.Subtract(name="difference")([encoder(left), encoder(right)])
    squares = layers.Multiply(name="squares")([difference, difference])
    same = layers.Dense(1, activation="sigmoid", name="same")(squares)
    return k.Model([left, right], same, name="siamese"), encoder


def autoencoder(k: Any) -> Models:
    layers = k.layers
    image = k.Input(shape=(8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="down")(image)
    code = layers.Dense(10, activation="tanh", name="code")(layers.Flatten(name="flat")(x))
    encoder = k.Model(image, code, name="encoder")
    code_in = k.Input(shape=(10,), name="code_in")
    decoded = layers.Dense(8 * 8 * 3, name="decoded")(code_in)
    decoder = k.Model(code_in, decoded, name="decoder")
    outputs = decoder(encoder(image))
    return k.Model(image, outputs, name="autoencoder"), encoder, decoder


def transfer(k: Any) -> Models:
    layers = k.layers
    base_in = k.Input(shape=(8, 8, 3), name="base_in")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1")(base_in)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Activation("relu", name="relu1")(x)
    x = layers.Conv2D(8, 3, padding="same", name="conv2")(x)
    base = k.Model(base_in, layers.Activation("relu", name="relu2")(x), name="base")
    base.trainable = False
    inputs = k.Input(shape=(8, 8, 3), name="image")
    x = base(inputs, training=False)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(3, activation="softmax", name="classes")(x)
    features = k.Model(base.input, base.get_layer("conv2").output, name="features")
    return k.Model(inputs, outputs, name="transfer"), base, features


def arithmetic(k: Any) -> Models:
    layers = k.layers
    inputs = k.Input(shape=(6,), name="x")
    a = layers.Dense(4, activation="tanh", name="a")(inputs)
    b = layers.Dense(4, activation="sigmoid", name="b")(inputs)
    x = (a + b) * a - 0.5 * b
    return (k.Model(inputs, layers.Dense(3, activation="softmax", name="classes")(x)),)


IDIOMS = {
    f.__name__: f
    for f in (
        residual_block, inception_block, two_inputs, siamese, autoencoder, transfer, arithmetic,
    )
}  # fmt: skip
