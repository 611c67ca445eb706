"""What the controls have to know of a sequence: its tokens, counted and indexed as they come."""


class History:
    """The state that one sequence's controls need."""
