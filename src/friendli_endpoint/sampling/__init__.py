"""From logits to tokens: one module per idea."""
