"""LeNet-5 on MNIST, layer by layer: `python examples/train_lenet5.py`."""

from striate import Sequential, layers
from striate.datasets import mnist

(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))

model = Sequential()
model.add(layers.Input(shape=(28, 28, 1)))
model.add(layers.Conv2D(6, 5, padding="same", activation="relu"))
model.add(layers.MaxPooling2D(2))
model.add(layers.Conv2D(16, 5, activation="relu"))
model.add(layers.MaxPooling2D(2))
model.add(layers.Flatten())
model.add(layers.Dense(120, activation="relu"))
model.add(layers.Dense(84, activation="relu"))
model.add(layers.Dense(10, activation="softmax"))
model.summary()

model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=64, epochs=5, validation_data=(x_test, y_test))
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy {100 * accuracy:.2f} %")
