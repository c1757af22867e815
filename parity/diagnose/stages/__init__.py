"""Why a stage differs: tokenizer, data, loss, gradients, optimizer, files, generation."""
