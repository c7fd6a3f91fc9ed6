"""A reader of pickles that imports and calls nothing: it builds plain values, and refuses everything else.

A pickle is a program for a small stack machine. The usual reader lets that program import any name and call
it. This one runs the program with `pickletools` as its parser and a machine of its own, in which a name is
only a string that is looked up in a table of constructors; so no file can do more than the table does.
The machine does not recurse, and keys of dictionaries are plain values, because the hash of nested tuples
can take exponential time.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

from morphoscope.configs import UserError

Constructor = Callable[..., object]

MAX_OPERATIONS = 2_000_000
"""Operations of one pickle; networks of 1024 px take about 20,000."""

_SHOWN = 120  # characters of a name in a message
_PLAIN = (str, bytes, int, float, bool, type(None))
_MARK = object()
# What pickletools raises for damaged files. It checks lengths before it reads.
_DAMAGED = (ValueError, IndexError, OverflowError, EOFError)


class Name(NamedTuple):
    """A global name in a pickle. It stands for nothing but its entry in the table of constructors."""

    text: str
    construct: Constructor


class _RefusedError(ValueError):
    """Why a pickle is not read; becomes a UserError that names the file and the position."""


def read_pickle(
    file: BinaryIO,
    source: str,
    constructors: Mapping[str, Constructor],
    persistent: Callable[[object], object] | None = None,
) -> object:
    """Read one pickle from where `file` stands; afterwards the file stands behind it.

    Args:
        file: in memory (BytesIO) or mapped into it, so that a claimed length allocates nothing.
        source: what the pickle is, for messages.
        constructors: what the global names "module.name" stand for, called with the arguments in the file.
        persistent: makes objects of persistent ids, which are refused without it.

    Raises:
        UserError: the pickle is damaged, contains another global name or another operation than plain values
            need, or has more than two million operations.
    """
    machine = _Machine(constructors, persistent)
    reached: int | None = None
    try:
        for count, (operation, argument, position) in enumerate(pickletools.genops(file)):
            reached = position
            if count >= MAX_OPERATIONS:
                raise _RefusedError(f"it has more than {MAX_OPERATIONS} operations")
            if machine.run(operation.name, argument):
                break
        return machine.result()
    except _RefusedError as refusal:
        raise UserError(
            f"{source}: refused, because {refusal} (byte {reached}). Nothing of the file was executed."
        ) from refusal
    except _DAMAGED as error:
        raise UserError(f"{source}: not a pickle, or damaged or cut short ({_short(str(error))}).") from error


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(
        self, constructors: Mapping[str, Constructor], persistent: Callable[[object], object] | None
    ) -> None:
        self._constructors = constructors
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, operation: str, argument: Any) -> bool:
        """Execute one operation; True at the end of the pickle."""
        if operation in _LITERALS:
            self.push(_CONSTANTS.get(operation, argument))
        elif operation in _OPERATIONS:
            _OPERATIONS[operation](self, argument)
        elif operation not in ("PROTO", "FRAME", "STOP"):
            raise _RefusedError(f"the operation {operation} is not needed for plain values")
        return operation == "STOP"

    def result(self) -> object:
        """What the pickle holds: the only value on the stack."""
        if len(self._stack) != 1:
            raise _RefusedError(f"{len(self._stack)} values remain at its end instead of one")
        return self._pop()

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is _MARK:
            raise _RefusedError("an operation lacks its arguments")
        return self._stack.pop()

    def _top(self, kind: type, operation: str) -> Any:
        value = self._pop()
        if not isinstance(value, kind):
            raise _RefusedError(f"{operation} is applied to {_described(value)}")
        self.push(value)
        return value

    def _since_mark(self) -> list[Any]:
        for start in range(len(self._stack) - 1, -1, -1):
            if self._stack[start] is _MARK:
                values = self._stack[start + 1 :]
                del self._stack[start:]
                return values
        raise _RefusedError("an operation lacks its mark")

    def _take(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def mark(self, _: Any) -> None:
        self.push(_MARK)

    def pop(self, _: Any) -> None:
        if not self._stack:
            raise _RefusedError("an operation lacks its arguments")
        self._stack.pop()

    def pop_mark(self, _: Any) -> None:
        self._since_mark()

    def duplicate(self, _: Any) -> None:
        value = self._pop()
        self._stack += [value, value]

    def put(self, index: int) -> None:
        value = self._pop()
        self._memo[index] = value
        self.push(value)

    def memoize(self, _: Any) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        if index not in self._memo:
            raise _RefusedError(f"it uses a value that it has not stored ({index})")
        self.push(self._memo[index])

    def tuple_of(self, count: int) -> None:
        self.push(tuple(self._take(count)))

    def marked_tuple(self, _: Any) -> None:
        self.push(tuple(self._since_mark()))

    def marked_list(self, _: Any) -> None:
        self.push(self._since_mark())

    def marked_dict(self, _: Any) -> None:
        self.push(_filled({}, self._since_mark()))

    def marked_set(self, _: Any) -> None:
        self.push(frozenset(map(_key, self._since_mark())))

    def append(self, _: Any) -> None:
        value = self._pop()
        self._top(list, "APPEND").append(value)

    def append_all(self, _: Any) -> None:
        values = self._since_mark()
        self._top(list, "APPENDS").extend(values)

    def add_all(self, _: Any) -> None:
        values = self._since_mark()
        self._top(set, "ADDITEMS").update(map(_key, values))

    def set_item(self, _: Any) -> None:
        pair = self._take(2)
        _filled(self._top(dict, "SETITEM"), pair)

    def set_items(self, _: Any) -> None:
        values = self._since_mark()
        _filled(self._top(dict, "SETITEMS"), values)

    def name(self, argument: str) -> None:
        self.push(self._named(argument.replace(" ", ".", 1)))

    def name_from_stack(self, _: Any) -> None:
        parts = self._take(2)
        if not all(isinstance(part, str) for part in parts):
            raise _RefusedError("a global name is not text")
        self.push(self._named(".".join(parts)))

    def call(self, _: Any) -> None:
        called, arguments = self._take(2)
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise _RefusedError(f"it calls {_described(called)}")
        try:
            self.push(called.construct(*arguments))
        except TypeError as error:
            raise _RefusedError(f"{called.text} has other arguments than expected") from error

    def build(self, _: Any) -> None:
        """Attributes for an object. None of the values that are made here has any, so they are dropped."""
        self._take(1)
        self.push(self._pop())

    def persistent(self, _: Any) -> None:
        if self._persistent is None:
            raise _RefusedError("it refers to something outside the file (a persistent id)")
        self.push(self._persistent(self._pop()))

    def _named(self, text: str) -> Name:
        if text not in self._constructors:
            raise _RefusedError(f"it asks for {_short(text)!r}, which no network needs")
        return Name(text, self._constructors[text])


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset(
    {
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "SHORT_BINBYTES",
        "BINBYTES",
        "BINBYTES8",
        *_CONSTANTS,
    }
)
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "EMPTY_TUPLE": lambda machine, _: machine.tuple_of(0),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": _Machine.marked_tuple,
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": _Machine.marked_list,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_all,
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": _Machine.marked_dict,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "ADDITEMS": _Machine.add_all,
    "FROZENSET": _Machine.marked_set,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}


def _filled(target: dict[Any, Any], flat: list[Any]) -> dict[Any, Any]:
    """`target` with the pairs of a list [key, value, key, value …]."""
    if len(flat) % 2:
        raise _RefusedError("a dictionary has a key without a value")
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        target[_key(key)] = value
    return target


def _key(value: Any) -> Any:
    if not isinstance(value, _PLAIN):
        raise _RefusedError(f"a key is {_described(value)}, not text or a number")
    return value


def _described(value: Any) -> str:
    return value.text if isinstance(value, Name) else f"a value of type {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
