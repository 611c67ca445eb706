"""Output that matches a JSON Schema or a regular expression: which tokens may come next.

docs/sampling.md says what of both is understood. llguidance computes the masks; nothing outside this package knows it.
"""

from friendli_endpoint.sampling.grammar.errors import GrammarError
from friendli_endpoint.sampling.grammar.grammars import Grammars
from friendli_endpoint.sampling.grammar.matcher import Matcher, ban, masks_of
from friendli_endpoint.sampling.grammar.vocabulary import Vocabulary

__all__ = ["GrammarError", "Grammars", "Matcher", "Vocabulary", "ban", "masks_of"]
