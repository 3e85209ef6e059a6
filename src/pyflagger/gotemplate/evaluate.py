"""A tree and the values of its names, into text. Every action counts as a step, so hostile loops end."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn, TypeAlias

from pyflagger.gotemplate.errors import DEPTH_MAX, OUTPUT_MAX, STEPS_MAX, WORK_MAX, TemplateError, Wrong
from pyflagger.gotemplate.functions import EARLY, FUNCTIONS
from pyflagger.gotemplate.tree import (
    Branch,
    Chain,
    Command,
    Constant,
    Dot,
    Function,
    Invoke,
    Leave,
    Node,
    Operand,
    Pipe,
    Print,
    Text,
    Tree,
    Variable,
)
from pyflagger.gotemplate.values import Value, kind, shown

_Scope: TypeAlias = ChainMap[str, Value]
"""Variables by name, the innermost block first."""


class _Left(Exception):
    """A loop is left, or its element."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Piece(NamedTuple):
    """A part of a rendered text. `literal`: the template has it outside of its actions."""

    text: str
    literal: bool


def evaluate(tree: Tree, names: Mapping[str, Value]) -> str:
    """The rendered text; `names` are the functions without arguments. Raises TemplateError."""
    return "".join(piece.text for piece in pieces(tree, names))


def pieces(tree: Tree, names: Mapping[str, Value]) -> list[Piece]:
    """The rendered text in parts. Raises TemplateError."""
    run = _Run(tree, names)
    run.body(tree.body, None, ChainMap({"$": None}))
    return run.output


class _Run:
    def __init__(self, tree: Tree, names: Mapping[str, Value]) -> None:
        self._tree, self._names = tree, names
        self.output: list[Piece] = []
        self._size = self._steps = self._depth = self._work = 0

    def _wrong(self, at: int, text: str) -> NoReturn:
        raise TemplateError(self._tree.source, at, text)

    def _step(self, at: int) -> None:
        self._steps += 1
        if self._steps > STEPS_MAX:
            self._wrong(at, f"more than {STEPS_MAX} steps")

    def _spend(self, at: int, *values: Value) -> None:
        texts = [len(value) for value in values if isinstance(value, str)]
        self._work += sum(texts)
        if self._work > WORK_MAX or max(texts, default=0) > OUTPUT_MAX:
            self._wrong(at, f"texts of more than {OUTPUT_MAX} characters, or {WORK_MAX} in total")

    def _write(self, at: int, text: str, *, literal: bool) -> None:
        self._size += len(text)
        if self._size > OUTPUT_MAX:
            self._wrong(at, f"the query is longer than {OUTPUT_MAX} characters")
        self.output.append(Piece(text, literal))

    # Nodes -----------------------------------------------------------------------------------------------------------

    def body(self, nodes: tuple[Node, ...], dot: Value, scope: _Scope) -> None:
        """Render nodes."""
        for node in nodes:
            self._step(node.at)
            self._node(node, dot, scope)

    def _node(self, node: Node, dot: Value, scope: _Scope) -> None:
        match node:
            case Text():
                self._write(node.at, node.text, literal=True)
            case Print():
                value = self._pipe(node.pipe, dot, scope)
                if not node.pipe.names:
                    self._write(node.at, shown(value), literal=False)
            case Branch(kind="range"):
                self._range(node, dot, scope)
            case Branch():
                self._choose(node, dot, scope.new_child())
            case Invoke():
                self._invoke(node, dot, scope)
            case Leave():
                raise _Left(node.kind)

    def _choose(self, node: Branch, dot: Value, scope: _Scope) -> None:
        value = self._pipe(node.pipe, dot, scope)
        if value:
            self.body(node.then, value if node.kind == "with" else dot, scope.new_child())
        else:
            self.body(node.otherwise, dot, scope.new_child())

    def _range(self, node: Branch, dot: Value, scope: _Scope) -> None:
        pipe = node.pipe
        elements = list(self._elements(pipe.at, self._commands(pipe, dot, scope)))
        for key, element in elements:
            inner = scope.new_child()
            parts = (element,) if len(pipe.names) == 1 else (key, element)
            for name, part in zip(pipe.names, parts, strict=False):
                self._set(inner, name, part, declare=pipe.declares)
            try:
                self.body(node.then, element, inner)
            except _Left as left:
                if left.kind == "break":
                    break
        if not elements:
            self.body(node.otherwise, dot, scope.new_child())

    def _elements(self, at: int, value: Value) -> Iterator[tuple[Value, Value]]:
        if isinstance(value, Mapping):
            yield from ((key, value[key]) for key in sorted(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            for number in range(value):
                self._step(at)
                yield number, number
        elif value is not None:
            self._wrong(at, f"range cannot iterate over a {kind(value)}")

    def _invoke(self, node: Invoke, dot: Value, scope: _Scope) -> None:
        body = self._tree.defined.get(node.name)
        if body is None:
            self._wrong(node.at, f"template {node.name!r} not defined")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            self._wrong(node.at, f"templates nested deeper than {DEPTH_MAX}")
        value = self._pipe(node.pipe, dot, scope) if node.pipe else None
        self.body(body, value, ChainMap({"$": value}))
        self._depth -= 1

    # Values ----------------------------------------------------------------------------------------------------------

    def _set(self, scope: _Scope, name: str, value: Value, *, declare: bool) -> None:
        home = scope.maps[0] if declare else next(frame for frame in scope.maps if name in frame)
        home[name] = value

    def _pipe(self, pipe: Pipe, dot: Value, scope: _Scope) -> Value:
        value = self._commands(pipe, dot, scope)
        for name in pipe.names:
            self._set(scope, name, value, declare=pipe.declares)
        return value

    def _commands(self, pipe: Pipe, dot: Value, scope: _Scope) -> Value:
        fed: tuple[Value, ...] = ()
        for command in pipe.commands:
            fed = (self._command(command, dot, scope, fed),)
        return fed[0]

    def _command(self, command: Command, dot: Value, scope: _Scope, fed: tuple[Value, ...]) -> Value:
        self._step(command.at)
        first, rest = command.operands[0], command.operands[1:]
        if not isinstance(first, Function):
            if fed:
                self._wrong(command.at, "a pipe leads to something that is not a function")
            return self._operand(first, dot, scope)
        if first.name in EARLY:
            return self._early(first, rest, dot, scope, fed)
        return self._call(first, [*(self._operand(operand, dot, scope) for operand in rest), *fed])

    def _early(
        self, function: Function, rest: Sequence[Operand], dot: Value, scope: _Scope, fed: tuple[Value, ...]
    ) -> Value:
        """`and` returns the first empty argument, `or` the first non-empty one, and both the last if there is none."""
        value: Value = None
        if not rest and not fed:
            self._wrong(function.at, f"wrong number of arguments for {function.name}: 0")
        for operand in rest:
            value = self._operand(operand, dot, scope)
            if bool(value) == (function.name == "or"):
                return value
        return fed[0] if fed else value

    def _call(self, function: Function, arguments: Sequence[Value]) -> Value:
        if function.name in self._names:
            if arguments:
                self._wrong(function.at, f"wrong number of arguments for {function.name}: {len(arguments)}")
            return self._names[function.name]
        self._spend(function.at, *arguments)
        try:
            value = FUNCTIONS[function.name](arguments)
        except Wrong as wrong:
            self._wrong(function.at, str(wrong))
        self._spend(function.at, value)
        return value

    def _operand(self, operand: Operand, dot: Value, scope: _Scope) -> Value:
        match operand:
            case Constant():
                return operand.value
            case Dot():
                return dot
            case Variable():
                return scope[operand.name]
            case Function():
                return self._command(Command(operand.at, (operand,)), dot, scope, ())
            case Pipe():
                return self._pipe(operand, dot, scope)
            case Chain():
                return self._chain(operand, dot, scope)

    def _chain(self, chain: Chain, dot: Value, scope: _Scope) -> Value:
        value = self._operand(chain.base, dot, scope)
        for name in chain.fields:
            if value is None:
                self._wrong(chain.at, f"no field {name!r} in a nil: names have no dot, as in {{{{ namespace }}}}")
            if not isinstance(value, Mapping):
                self._wrong(chain.at, f"no field {name!r} in a {kind(value)}")
            if name not in value:
                self._wrong(chain.at, f"map has no entry for key {name!r}")
            value = value[name]
        return value
