"""Parses PromQL into a typed tree.

`promql-parser` has the grammar and the type checks. This module turns its tree into small frozen nodes, for caching and
pattern matching. The engine calls it. It imports the wheel on first use.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias

from pyflagger_sandbox.trouble import MissingExtra

from .values import NAME, QueryError

MAX_QUERY = 64 * 1024
MAX_OPERATORS = 500
"""The parser is recursive and native: thousands of nested operators would crash the process."""

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(?P<comment>\#[^\n]*)"""
    r"""|(?P<operator>[-+*/%^=!<>(\[]|\b(?:and|or|unless|atan2)\b)""",
    re.IGNORECASE,
)
MatchOp = Literal["=", "!=", "=~", "!~"]
At: TypeAlias = int | Literal["start", "end"] | None


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. Regular expressions match the whole value. An absent label counts as empty."""

    name: str
    op: MatchOp
    value: str

    def test(self) -> Callable[[str], bool]:
        """A predicate on the value of the label."""
        if "~" not in self.op:
            return self.value.__eq__ if self.op == "=" else self.value.__ne__
        found = regex(self.value).fullmatch
        return (lambda value: found(value) is not None) if self.op == "=~" else (lambda value: found(value) is None)


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector. `offset` is in milliseconds, `at` in milliseconds or `start` or `end` of the range
    query.
    """

    matchers: tuple[Matcher, ...]
    offset: int
    at: At


@dataclass(frozen=True, slots=True)
class Range:
    """A range vector selector. `span` is in milliseconds."""

    selector: Selector
    span: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """An expression evaluated at every `step` of `span`, by default at the engine's resolution."""

    expr: Node
    span: int
    step: int
    offset: int
    at: At


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`op by/without (labels) (param, expr)`."""

    op: str
    expr: Node
    param: Node | None
    without: bool
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Matching:
    """How to match the elements of two vectors. `many` is the side that may have several elements in a match group."""

    on: bool = False
    labels: frozenset[str] = frozenset()
    many: Literal["", "left", "right"] = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    lhs: Node
    rhs: Node
    as_bool: bool
    matching: Matching


@dataclass(frozen=True, slots=True)
class Negate:
    expr: Node


Node: TypeAlias = Number | Text | Selector | Range | Subquery | Call | Aggregate | Binary | Negate


def grammar() -> Any:
    """The module `promql_parser`. Raises MissingExtra, which says what to install."""
    try:
        import promql_parser
    except ImportError as error:
        text = "the embedded metrics store needs promql-parser: pip install 'pyflagger[sandbox]'"
        raise MissingExtra(text) from error
    return promql_parser


@lru_cache(maxsize=512)
def parse(query: str) -> Node:
    """The tree of a query. Raises QueryError (bad_data) if the text is not PromQL, or is too long or too deep."""
    if len(query) > MAX_QUERY or _operators(query) > MAX_OPERATORS:
        raise QueryError("bad_data", f"the query has over {MAX_QUERY} characters or {MAX_OPERATORS} operators")
    try:
        tree = grammar().parse(query)
        return _node(tree)
    except (ValueError, OverflowError) as error:
        raise QueryError("bad_data", f"1:1: parse error: {error}") from error
    except RecursionError as error:
        raise QueryError("bad_data", "the query's operators are nested too deeply") from error
    except BaseException as error:
        # The wheel's own errors are panics of a class that it does not export. `x @ -1` raises one.
        if type(error).__name__ != "PanicException":
            raise
        raise QueryError("bad_data", f"the parser does not support this query: {error}") from error


@lru_cache(maxsize=1024)
def regex(pattern: str) -> re.Pattern[str]:
    """A compiled label pattern (`.` matches newlines, as in Prometheus 3). Raises QueryError (bad_data)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern.replace(r"\z", r"\Z"), re.DOTALL)
        except (re.error, OverflowError, RecursionError) as error:
            raise QueryError("bad_data", f"regular expression {pattern!r} is not supported: {error}") from error


def selector_of(text: str) -> Selector:
    """One plain series selector (`match[]`). Raises QueryError (bad_data) for anything else."""
    node = parse(text)
    if not isinstance(node, Selector) or node.offset or node.at is not None:
        raise QueryError("bad_data", f"{text!r} is not a series selector")
    return node


def _operators(query: str) -> int:
    """An upper bound of the tree's depth: the number of nesting tokens outside strings and comments."""
    return sum(found.lastgroup == "operator" for found in _TOKEN.finditer(query))


def _node(tree: Any) -> Node:
    return _translators()[type(tree)](tree)  # type: ignore[no-any-return]


@cache
def _translators() -> dict[type, Any]:
    module = grammar()
    return {
        module.NumberLiteral: lambda tree: Number(tree.val),
        module.StringLiteral: lambda tree: Text(tree.val),
        module.ParenExpr: lambda tree: _node(tree.expr),
        module.UnaryExpr: lambda tree: Negate(_node(tree.expr)),
        module.VectorSelector: _selector,
        module.MatrixSelector: lambda tree: Range(_selector(tree.vector_selector), _millis(tree.range)),
        module.SubqueryExpr: _subquery,
        module.Call: lambda tree: Call(tree.func.name, tuple(_node(arg) for arg in tree.args)),
        module.AggregateExpr: _aggregate,
        module.BinaryExpr: _binary,
    }


def _selector(tree: Any) -> Selector:
    if tree.matchers.or_matchers:
        raise ValueError('unexpected "or" inside braces')
    matchers = [Matcher(m.name, _match_op(m.op), m.value) for m in tree.matchers.matchers]
    if tree.name:
        matchers.insert(0, Matcher(NAME, "=", tree.name))
    for matcher in matchers:
        if "~" in matcher.op:
            regex(matcher.value)
    return Selector(tuple(matchers), _millis(tree.offset), _at(tree.at))


def _match_op(op: Any) -> MatchOp:
    kinds = grammar().MatchOp
    ops: tuple[tuple[Any, MatchOp], ...] = (
        (kinds.Equal, "="),
        (kinds.NotEqual, "!="),
        (kinds.Re, "=~"),
        (kinds.NotRe, "!~"),
    )
    return next(text for kind, text in ops if op == kind)


def _subquery(tree: Any) -> Subquery:
    return Subquery(_node(tree.expr), _millis(tree.range), _millis(tree.step), _millis(tree.offset), _at(tree.at))


def _aggregate(tree: Any) -> Aggregate:
    modifier = tree.modifier
    without = modifier is not None and modifier.type == grammar().AggModifierType.Without
    labels = frozenset(modifier.labels) if modifier is not None else frozenset()
    param = _node(tree.param) if tree.param is not None else None
    return Aggregate(str(tree.op), _node(tree.expr), param, without, labels)


def _binary(tree: Any) -> Binary:
    modifier = tree.modifier
    if modifier is None:
        return Binary(str(tree.op), _node(tree.lhs), _node(tree.rhs), False, Matching())
    if modifier.fill_values is not None and (
        modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None
    ):
        raise ValueError("fill modifiers are not supported")
    cards = grammar().VectorMatchCardinality
    many: Literal["", "left", "right"] = ""
    if modifier.card == cards.ManyToOne:
        many = "left"
    elif modifier.card == cards.OneToMany:
        many = "right"
    on = modifier.matching is not None and modifier.matching.type == grammar().LabelModifierType.Include
    labels = frozenset(modifier.matching.labels) if modifier.matching is not None else frozenset()
    matching = Matching(on, labels, many, tuple(modifier.group_labels or ()))
    return Binary(str(tree.op), _node(tree.lhs), _node(tree.rhs), modifier.return_bool, matching)


def _millis(delta: timedelta | None) -> int:
    return 0 if delta is None else delta // timedelta(milliseconds=1)


def _at(modifier: Any) -> At:
    if modifier is None:
        return None
    kinds = grammar().AtModifierType
    if modifier.type == kinds.Start:
        return "start"
    if modifier.type == kinds.End:
        return "end"
    moment: datetime = modifier.at
    return _millis(moment.astimezone(UTC) - datetime.fromtimestamp(0, UTC))
