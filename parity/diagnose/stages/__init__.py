"""Why a stage differs: tokenizer, data, loss, gradients, optimizer, files, generation.

A stage is computed anew from its definition (`canonical`, `inputs`), with one departure at a time; the departure that
reproduces every number that the stage gave is the cause. Each module has an `explain(corners, example, verdict)`, which
`diagnose.explain` calls by the check's `STAGE`.

Most are built alike. What a side gave, of the failing example and of some of the module's own that show what an example
may hide, is evidence (`diagnose.search.Evidence`). Functions that yield a `Candidate` each propose the departures,
those that people make most first, since the first of a name that explains all evidence is taken. A new one is one more
yield.

    tokenizer, data, generation       text to ids, ids to batches, tokens one by one
    loss (loss_variants), criterion   parity's loss; a loss of the user's own
    gradients                         what the backward pass makes of a right forward one
    optimizer (optimizer_variants)    a training by parity's recipes; `own_optimizer`: by the user's optimizers
    processes                         a training that does not repeat
    modes (drop_places), inputs       training mode; what `call=` hands to a model
    serialization, configuration      what a file loses; settings that it does not hold
    conversion            a converted checkpoint
    own_weights (own_relations, own_orders, folds)    weights that each side has of its own
"""
