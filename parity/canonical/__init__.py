"""Layers, activations and optimizers, defined once: names, axes, formulas. NumPy only.

What a layer's parameters are called and how their axes lie is a framework's own affair; both are brought to a
third form, neither's, which is defined here. A weight crosses from one side to the other only in it.

    kind             the layer kinds: their parameters and axes, in order of transfer
    layer            a layer as a framework holds it: which variables are which canonical parameter
    transforms       how a framework's arrays become canonical ones, and back, bit for bit
    custom           layers of a user's own class, which `custom=` tells of
    form, opened     a model's layers read as the other side's are: joined, split, turned, a cell as dense layers
    ways             in which ways one shape can hold the numbers of another
    flow             which layer's output goes into which layer
    weights          values drawn from a seed, in canonical form
    activations      functions of one array, and what each framework calls them
    formulas         layers written out, with the variants that are taken for one another
    resizing         the weights by which pictures are resized
    optimizers       a training's recipe, and the formulas that both sides follow
    optimizer_steps  the same steps replayed, right or with a fault (`faulty_recipe`)
    clipping         how gradients were clipped

`formulas`, `activations` and `optimizer_steps` are the arbiter when two sides differ: the one that they reproduce is
right.
"""
