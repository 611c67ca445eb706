"""The engine: requests in tokens, scheduled over paged KV, one forward a step, in a process of its own."""
