"""How the sides of the zoo are called: torch has channels first, Keras has them last."""

from typing import Any

from keras import ops


def last(model: Any, inputs: Any, training: bool) -> Any:
    """Inputs (batch, channels, ...) with their channels last."""
    return model(ops.moveaxis(inputs, 1, -1), training=training)


def there_and_back(model: Any, inputs: Any, training: bool) -> Any:
    """Outputs with their channels first again, too."""
    return ops.moveaxis(last(model, inputs, training), -1, 1)


LAST = {"tensorflow": last}
BOTH = {"tensorflow": there_and_back}
