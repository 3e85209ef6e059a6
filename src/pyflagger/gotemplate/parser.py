"""Tokens into a tree. Unknown functions and undeclared variables are found here, before anything is rendered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

from pyflagger.gotemplate import literals
from pyflagger.gotemplate.errors import DEPTH_MAX, TemplateError, Wrong
from pyflagger.gotemplate.lexer import Token, tokens
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

_WORDS = {"true": True, "false": False, "nil": None}
_BRANCHES = ("if", "with", "range")
_LITERALS: Mapping[str, Callable[[str], str | int | float]] = {
    "string": literals.unquote,
    "raw": lambda text: text[1:-1].replace("\r", ""),
    "char": literals.character,
    "number": literals.number,
}


def parse(source: str, functions: Collection[str]) -> Tree:
    """The tree of a template that may call `functions`. Raises TemplateError."""
    return _Parser(source, functions).tree()


class _Parser:
    def __init__(self, source: str, functions: Collection[str]) -> None:
        self._source, self._functions = source, functions
        self._tokens, self._next = tokens(source), 0
        self._depth, self._loops = 0, 0
        self._variables = ["$"]
        self._defined: dict[str, tuple[Node, ...]] = {}

    def tree(self) -> Tree:
        body, ended = self._body(top=True)
        if ended:
            raise self._wrong(ended, f"unexpected {ended.text}")
        return Tree(self._source, body, self._defined)

    # Words and places ------------------------------------------------------------------------------------------------

    def _wrong(self, token: Token, text: str) -> TemplateError:
        return TemplateError(self._source, token.at, text)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _want(self, kind: str, what: str) -> Token:
        token = self._take()
        if token.kind != kind:
            raise self._wrong(token, f"{what} expected, found {token.text!r}")
        return token

    def _is_mark(self, text: str) -> bool:
        return self._peek().kind == "mark" and self._peek().text == text

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(token, f"nested deeper than {DEPTH_MAX}")

    # Bodies ----------------------------------------------------------------------------------------------------------

    def _body(self, *, top: bool = False) -> tuple[tuple[Node, ...], Token | None]:
        """Nodes up to `end` or `else` (returned, consumed), or the end of the source when at the top."""
        nodes: list[Node] = []
        while True:
            token = self._take()
            if token.kind == "text":
                nodes.append(Text(token.at, token.text))
            elif token.kind == "end":
                if top:
                    return tuple(nodes), None
                raise self._wrong(token, "unexpected end of the template: {{ end }} is missing")
            else:
                word = self._peek()
                if word.kind == "name" and word.text in ("end", "else"):
                    return tuple(nodes), self._take()
                node = self._action(top)
                if node is not None:
                    nodes.append(node)

    def _action(self, top: bool) -> Node | None:
        token = self._peek()
        word = token.text if token.kind == "name" else ""
        if word in _BRANCHES:
            return self._branch(self._take())
        if word in ("break", "continue"):
            return self._leave(self._take())
        if word == "template":
            return self._invoke(self._take())
        if word in ("define", "block"):
            return self._define(self._take(), top)
        pipe = self._pipe()
        self._close()
        return Print(token.at, pipe)

    def _close(self) -> None:
        self._want("close", "the end of the action")

    def _branch(self, token: Token) -> Branch:
        kind: Literal["if", "with", "range"] = token.text  # type: ignore[assignment]
        self._deeper(token)
        scope = len(self._variables)
        pipe = self._pipe(names_max=2 if kind == "range" else 1)
        self._close()
        self._loops += kind == "range"
        then, ended = self._body()
        self._loops -= kind == "range"
        otherwise = self._otherwise(kind, ended)
        del self._variables[scope:]
        self._depth -= 1
        return Branch(token.at, kind, pipe, then, otherwise)

    def _otherwise(self, kind: str, ended: Token | None) -> tuple[Node, ...]:
        assert ended is not None
        if ended.text == "end":
            self._close()
            return ()
        word = self._peek()
        if word.kind == "name" and word.text == kind and kind != "range":
            return (self._branch(self._take()),)
        self._close()
        body, last = self._body()
        if last is None or last.text != "end":
            raise self._wrong(last or ended, "a second {{ else }}")
        self._close()
        return body

    def _leave(self, token: Token) -> Leave:
        if not self._loops:
            raise self._wrong(token, f"{token.text} outside of range")
        self._close()
        return Leave(token.at, token.text)  # type: ignore[arg-type]

    def _invoke(self, token: Token) -> Invoke:
        name = self._name()
        pipe = None if self._peek().kind == "close" else self._pipe()
        self._close()
        return Invoke(token.at, name, pipe)

    def _name(self) -> str:
        token = self._take()
        if token.kind not in ("string", "raw"):
            raise self._wrong(token, f"a quoted name expected, found {token.text!r}")
        return str(self._literal(token))

    def _define(self, token: Token, top: bool) -> Invoke | None:
        if token.text == "define" and not top:
            raise self._wrong(token, "define inside of another action")
        name = self._name()
        pipe = self._pipe() if token.text == "block" else None
        self._close()
        self._deeper(token)
        outer, loops = self._variables, self._loops
        self._variables, self._loops = ["$"], 0
        body, ended = self._body()
        if ended is None or ended.text != "end":
            raise self._wrong(ended or token, "unexpected {{ else }}")
        self._close()
        self._variables, self._loops = outer, loops
        self._depth -= 1
        self._defined[name] = body
        return Invoke(token.at, name, pipe) if token.text == "block" else None

    # Pipes -----------------------------------------------------------------------------------------------------------

    def _pipe(self, names_max: int = 1) -> Pipe:
        start = self._peek()
        names, declares = self._declaration(names_max)
        commands = [self._command()]
        while self._is_mark("|"):
            self._take()
            command = self._command()
            if not isinstance(command.operands[0], Function | Chain | Variable):
                raise TemplateError(self._source, command.at, "a constant cannot take the value before it")
            commands.append(command)
        if declares:
            self._variables.extend(names)
        return Pipe(start.at, tuple(commands), names, declares)

    def _declaration(self, names_max: int) -> tuple[tuple[str, ...], bool]:
        """`$a :=`, `$a, $b :=` or `$a =` before a pipe; nothing is consumed when there is none."""
        at, names = self._next, []
        while self._peek().kind == "variable":
            names.append(self._take())
            if self._is_mark(","):
                self._take()
                continue
            break
        if names and (self._is_mark(":=") or self._is_mark("=")):
            mark = self._take()
            if len(names) > names_max:
                raise self._wrong(names[-1], "too many variables")
            if mark.text == "=":
                for name in names:
                    self._known(name)
            return tuple(name.text for name in names), mark.text == ":="
        self._next = at
        return (), True

    def _known(self, token: Token) -> None:
        if token.text not in self._variables:
            raise self._wrong(token, f"undefined variable {token.text!r}")

    def _command(self) -> Command:
        start = self._peek()
        operands: list[Operand] = []
        while self._peek().kind not in ("close", "end") and not (self._is_mark("|") or self._is_mark(")")):
            operands.append(self._operand())
        if not operands:
            raise self._wrong(start, "missing value")
        first = operands[0]
        if isinstance(first, Constant) and first.value is None:
            raise self._wrong(start, "nil is not a command")
        if len(operands) > 1 and not isinstance(first, Function):
            raise self._wrong(start, f"arguments given to {start.text!r}, which is not a function")
        return Command(start.at, tuple(operands))

    def _operand(self) -> Operand:
        base = self._term()
        fields: list[str] = []
        while self._peek().kind == "field" and (self._glued() or (not fields and self._is_bare(base))):
            fields.append(self._take().text[1:])
        return Chain(base.at, base, tuple(fields)) if fields else base

    def _glued(self) -> bool:
        """Whether the next token begins where the last one ended."""
        last = self._tokens[self._next - 1]
        return last.at + len(last.text) == self._peek().at

    def _is_bare(self, base: Operand) -> bool:
        """Whether the operand begins with a field, whose dot is not written."""
        return isinstance(base, Dot) and base.at == self._peek().at

    def _term(self) -> Operand:
        token = self._take()
        if token.kind in _LITERALS:
            return Constant(token.at, self._literal(token))
        if token.kind == "name":
            return self._named(token)
        if token.kind == "variable":
            self._known(token)
            return Variable(token.at, token.text)
        if token.kind == "field":
            self._next -= 1
            return Dot(token.at)
        if token.text == "." and token.kind == "mark":
            return Dot(token.at)
        if token.text == "(" and token.kind == "mark":
            return self._group(token)
        raise self._wrong(token, f"unexpected {token.text or 'end of the template'!r}")

    def _group(self, token: Token) -> Pipe:
        self._deeper(token)
        pipe = self._pipe()
        if not self._is_mark(")"):
            raise self._wrong(self._peek(), "unclosed left parenthesis")
        self._take()
        self._depth -= 1
        return pipe

    def _named(self, token: Token) -> Operand:
        if token.text in _WORDS:
            return Constant(token.at, _WORDS[token.text])
        if token.text not in self._functions:
            raise self._wrong(token, f"function {token.text!r} not defined")
        return Function(token.at, token.text)

    def _literal(self, token: Token) -> str | int | float:
        try:
            return _LITERALS[token.kind](token.text)
        except Wrong as wrong:
            raise self._wrong(token, str(wrong)) from None
