"""Style sheets that the apps of one process share."""

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.tokenizer import Token
from textual.css.types import CSSLocation

Variables = frozenset[tuple[str, str]]
_parsed_rules: LRUCache[tuple[object, ...], list[RuleSet]] = LRUCache(1024)
_tokens: LRUCache[Variables, dict[str, list[Token]]] = LRUCache(16)

# Their own hash is their ID too, but in Python: it took a twentieth of what an app costs.
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]


class SharedStylesheet(Stylesheet):
    """A style sheet whose rules are parsed once per process and theme, not in every app.

    Parsed rules are only read; an app changes only the styles of its own widgets.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._theme: Variables = frozenset(variables.items())

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the variables of another theme."""
        super().set_variables(variables)
        self._theme = frozenset(variables.items())

    @property
    def _variable_tokens(self) -> dict[str, list[Token]]:
        tokens = _tokens.get(self._theme)
        if tokens is None:
            _tokens[self._theme] = tokens = super()._variable_tokens
        return tokens

    def reparse(self) -> None:
        """Use the rules for the current variables."""
        self.parse()

    def _parse_rules(
        self,
        css: str,
        read_from: CSSLocation,
        is_default_rules: bool = False,
        tie_breaker: int = 0,
        scope: str = "",
    ) -> list[RuleSet]:
        key = (css, read_from, is_default_rules, tie_breaker, scope, self._theme)
        rules = _parsed_rules.get(key)
        if rules is None:
            rules = super()._parse_rules(css, read_from, is_default_rules, tie_breaker, scope)
            _parsed_rules[key] = rules
        return rules
