"""Planted bugs by family, each with the check, place and cause it must be blamed on; and equivalent mutants.

A fault alters one side of a pair of `parity.selftest.faults.pairs` and nothing else: its framework's
model, as built, or what parity does with it. It is planted in a pair of its own, so that it leaves no
trace. A benign twin is planted in the same way, and must not be flagged.

Every fault stands for a mistake that people make when they move a model between the frameworks. Above the faults of a
kind a comment says which, with the public report of one where there is one. They are written anew, as small as they can
be: from a report comes what is wrong, never its code.

    layers, modes, gradients, numerics     what a layer computes, in which mode, with which gradient, how exactly
    weights, layout, conversion            values on their way into a model; how a layer reads them; a whole converter
    attention, images, sentences           what is seen from where; pairs without a tokenizer
    own_code                               lines between the layers
    tokenizer, data, loss, optimizers, files, generation     the stages around a model
    fault, inject_layers, inject_stages, reached             what a fault is, how it is planted, whether it was run
    activations, recurrent, optimizer_rules, pairs           formulas to plant, and the pairs to plant them in
"""

from parity.selftest.faults import (
    attention,
    conversion,
    data,
    files,
    generation,
    gradients,
    images,
    layers,
    layout,
    loss,
    modes,
    numerics,
    optimizers,
    own_code,
    sentences,
    tokenizer,
    weights,
)
from parity.selftest.faults.fault import Fault

FAMILIES: dict[str, tuple[Fault, ...]] = {
    "layers": layers.FAULTS,
    "modes": modes.FAULTS,
    "weights": weights.FAULTS,
    "layout": layout.FAULTS,
    "conversion": conversion.FAULTS,
    "attention": attention.FAULTS,
    "images": images.FAULTS,
    "sentences": sentences.FAULTS,
    "own_code": own_code.FAULTS,
    "gradients": gradients.FAULTS,
    "numerics": numerics.FAULTS,
    "tokenizer": tokenizer.FAULTS,
    "data": data.FAULTS,
    "loss": loss.FAULTS,
    "optimizers": optimizers.FAULTS,
    "files": files.FAULTS,
    "generation": generation.FAULTS,
}
FAULTS = tuple(fault for family in FAMILIES.values() for fault in family)
