"""The dedicated endpoint that you run yourself: HTTP, text, scheduling, sampling and the model."""
