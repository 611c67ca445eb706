"""The border between text and tokens: tokenizers, and the text of a choice as its tokens come."""

from friendli_endpoint.text.choice import ChoiceText, Piece
from friendli_endpoint.text.load import load_tokenizer
from friendli_endpoint.text.phrases import phrases_of, sequences_of
from friendli_endpoint.text.tokenizer import Tokenizer

__all__ = ["ChoiceText", "Piece", "Tokenizer", "load_tokenizer", "phrases_of", "sequences_of"]
