"""What models are fed: tokenizer, batches, arrays, and the strategies that draw them.

tokenizer           a SentencePiece model, as parity uses it; `tokenizer_oracle`: the same by formulas of its own
batch, batches      rows of ids as padded batches; batches of the user's own, cut and permuted
arrays              inputs in any nesting, as an example
edges               padding, lengths, ids of 0, exact zeros and ties: what shows faults
sampling            examples from a seed, the same whatever surrounds them
specimens           texts and tokenizer models that come with parity
"""
