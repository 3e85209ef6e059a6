"""The syntax tree of a template. `at` is the offset in its source, for messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal: text, number, true, false or nil (None)."""

    at: int
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Dot:
    """The current value."""

    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`, or `$` for the value that rendering began with."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function by name; in an argument it is called with nothing."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """`base.field.field`."""

    at: int
    base: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each fed with the result of the one before; `names` get the result, newly declared or assigned."""

    at: int
    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    declares: bool = True


Operand: TypeAlias = Constant | Dot | Variable | Function | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Command:
    """An operand, or a function with its arguments."""

    at: int
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Text outside of actions."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """The value of a pipe, unless the pipe only sets a variable."""

    at: int
    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`: a body for truth (or for each element), and another for the rest."""

    at: int
    kind: OneOf["if", "with", "range"]
    pipe: Pipe
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Invoke:
    """`template "name" pipe`."""

    at: int
    name: str
    pipe: Pipe | None


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    at: int
    kind: OneOf["break", "continue"]


Node: TypeAlias = Text | Print | Branch | Invoke | Leave


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed template with the templates that it defines."""

    source: str
    body: tuple[Node, ...]
    defined: Mapping[str, tuple[Node, ...]]
