"""The shape of the configuration, read from its structs: tables, arrays of tables, and plain values with their description."""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

StructType = type[msgspec.Struct]


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a table. `table` is the struct behind a table or an array of tables (`many`), None for a plain value."""

    name: str
    type: Any
    description: str
    table: StructType | None
    many: bool
    required: bool
    default: Any


def fields_of(table: StructType) -> tuple[Field, ...]:
    """The keys of a table in the order they were written."""
    return tuple(_field(info) for info in msgspec.structs.fields(table))


def _field(info: msgspec.structs.FieldInfo) -> Field:
    inner, many = table_of(info.type)
    default = info.default
    if info.default_factory is not msgspec.NODEFAULT:
        default = info.default_factory()
    return Field(
        name=info.encode_name,
        type=info.type,
        description=next((meta.description for meta in metas(info.type) if meta.description), ""),
        table=inner,
        many=many,
        required=info.required,
        default=None if info.required else default,
    )


def metas(type_: Any) -> Iterator[msgspec.Meta]:
    """The annotations of a type and of what it is made of, except `None`."""
    origin = typing.get_origin(type_)
    if origin is Annotated:
        inner, *found = typing.get_args(type_)
        yield from metas(inner)
        yield from (each for each in found if isinstance(each, msgspec.Meta))
    elif origin in (types.UnionType, typing.Union):
        for each in typing.get_args(type_):
            yield from metas(each)


def plain(type_: Any) -> Any:
    """A type without its annotations and without `| None`."""
    while True:
        origin = typing.get_origin(type_)
        if origin is Annotated:
            type_ = typing.get_args(type_)[0]
        elif origin in (types.UnionType, typing.Union):
            rest = [each for each in typing.get_args(type_) if each is not type(None)]
            if len(rest) != 1:
                return type_
            type_ = rest[0]
        else:
            return type_


def table_of(type_: Any) -> tuple[StructType | None, bool]:
    """The struct behind a type, and whether the type is a sequence of them."""
    type_ = plain(type_)
    many = typing.get_origin(type_) in (tuple, list) and len(typing.get_args(type_)) in (1, 2)
    if many:
        type_ = plain(typing.get_args(type_)[0])
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_, many
    return None, False


def type_text(type_: Any) -> str:
    """A type in the words of TOML."""
    inner = plain(type_)
    if typing.get_origin(inner) in (tuple, list):
        item = typing.get_args(inner)[0]
        return f"array of {type_text(item)}"
    if inner is dict or typing.get_origin(inner) is dict:
        return "table"
    if typing.get_origin(inner) is typing.Literal:
        return "one of " + ", ".join(f'"{each}"' for each in typing.get_args(inner))
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        return "table"
    if isinstance(inner, type) and hasattr(inner, "__members__"):
        return "one of " + ", ".join(f'"{each.value}"' for each in inner)  # type: ignore[attr-defined]  # an enum
    return {bool: "true or false", int: "integer", float: "number", str: "string"}.get(inner, str(inner))
