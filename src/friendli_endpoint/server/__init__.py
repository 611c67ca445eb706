"""HTTP in front of the engine: who may, how much, what was meant, and the reply as JSON or as a stream."""
