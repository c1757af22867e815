"""What models are fed: tokenizer, batches, arrays, and the strategies that draw them."""
