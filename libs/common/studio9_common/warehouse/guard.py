"""What an analyst's statement must be before it is run, and the statement that is run in its place.

The text is parsed, every node of its tree is checked, and the database gets what is generated from the tree: what was
checked is what runs, whatever a database would have made of the text itself. Only `predictions` and the statement's own
WITH names can be read. The latter are renamed, so that a name that is declared in one part of the statement cannot
stand for a table of the database in another.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError

from studio9_common.errors import BadInput
from studio9_common.times import format_time
from studio9_common.warehouse.functions import KNOWN, NAMED, TABLE_FUNCTIONS
from studio9_common.warehouse.port import QueryRefused
from studio9_common.warehouse.schema import VIEW

MAX_SQL = 64 * 1024
"""Characters of a statement."""
CTE_PREFIX = "with_"

_FORBIDDEN: tuple[type[exp.Expr], ...] = (
    exp.DML,
    exp.DDL,
    exp.Command,
    exp.Copy,
    exp.Into,
    exp.Lock,
    exp.Merge,
    exp.Parameter,
    exp.SessionParameter,
    exp.Set,
    exp.Transaction,
    exp.Use,
    exp.Pragma,
    # Strings with escapes of their own: one rule of quoting is enough to get right.
    exp.BitString,
    exp.ByteString,
    exp.HexString,
    exp.National,
    exp.RawString,
    exp.UnicodeString,
)


class StrictRedshift(Redshift):
    """Writes a quote in a string as two, never with a backslash."""

    class Tokenizer(Redshift.Tokenizer):
        STRING_ESCAPES: ClassVar[list[str]] = ["'"]


def guarded(sql: str, parameters: Mapping[str, Any] | None, *, view: str, limit: int, read: str, write: str) -> str:
    """The statement to run in place of `sql`: on `view` instead of `predictions`, with at most `limit` rows where it
    sets no lower limit. `read` and `write` are sqlglot's names of dialects. Raises QueryRefused, saying what to change.
    """
    tree = _parse(sql, read)
    names = {cte.alias for cte in tree.find_all(exp.CTE)}
    if VIEW in names:
        raise QueryRefused(f"WITH cannot define {VIEW} anew; choose another name", field="sql")
    for node in list(tree.walk()):
        _check(node)
    values = dict(parameters or {})
    used = {node.name for node in tree.find_all(exp.Placeholder)}
    if used != set(values):
        raise QueryRefused(
            f"the statement uses the parameters {sorted(used)}, given are {sorted(values)}", field="parameters"
        )
    target = exp.to_table(view)
    for placeholder in list(tree.find_all(exp.Placeholder)):
        placeholder.replace(_value(placeholder.name, values[placeholder.name]))
    for table in list(tree.find_all(exp.Table)):
        _bind(table, names, target)
    for cte in tree.find_all(exp.CTE):
        cte.args["alias"].set("this", exp.to_identifier(CTE_PREFIX + cte.alias, quoted=True))
    if not _limited(tree, limit):
        tree = tree.limit(limit, copy=False)
    dialect: str | type[Redshift] = write
    if write == "redshift":
        dialect = StrictRedshift
        for text in list(tree.find_all(exp.Literal)):
            if text.is_string and "\\" in text.this:
                text.replace(_without_backslash(text.this))
    try:
        return tree.sql(dialect=dialect, comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise QueryRefused(f"this warehouse cannot do that: {error}", field="sql") from None


def _parse(sql: str, dialect: str) -> exp.Query:
    if len(sql) > MAX_SQL:
        raise QueryRefused(f"the statement is over {MAX_SQL} characters", field="sql")
    if "\0" in sql:
        raise QueryRefused("the statement holds a NUL character", field="sql")
    try:
        statements = [found for found in sqlglot.parse(sql, read=dialect) if found is not None]
    except (SqlglotError, RecursionError, IndexError, ValueError) as error:
        text = " ".join(str(error).replace("\033[4m", "").replace("\033[0m", "").split())[:300]
        raise QueryRefused(f"the statement cannot be read: {text}", field="sql") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select | exp.SetOperation):
        raise QueryRefused(field="sql", fix="send one SELECT, or WITH … SELECT")
    return statements[0]


def _check(node: exp.Expr) -> None:
    if isinstance(node, _FORBIDDEN):
        raise QueryRefused(
            f"{type(node).__name__.upper()} is not allowed: the prediction tables are read-only", field="sql"
        )
    if isinstance(node, exp.Table):
        _check_table(node)
    elif isinstance(node, exp.Func):
        _check_function(node)


def _check_function(node: exp.Func) -> None:
    if isinstance(node, exp.Anonymous):
        name, known = node.name, node.name.lower() in NAMED
    else:
        name, known = node.sql_name(), type(node).__name__ in KNOWN
    if not known:
        raise QueryRefused(f"the function {name} is not available here", field="sql", value=name)


def _check_table(table: exp.Table) -> None:
    if isinstance(table.this, exp.Func):
        name = table.this.name.lower() if isinstance(table.this, exp.Anonymous) else type(table.this).__name__
        if name not in TABLE_FUNCTIONS:
            raise QueryRefused(f"the table function {name} is not available here", field="sql", value=name)
    elif not isinstance(table.this, exp.Identifier) or table.args.get("db") or table.args.get("catalog"):
        raise QueryRefused(f"only {VIEW} can be read, without a schema's name", field="sql", value=table.sql())


def _bind(table: exp.Table, names: set[str], target: exp.Table) -> None:
    if isinstance(table.this, exp.Func):
        return
    name = table.name
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=table.this.args.get("quoted"))))
    if name in names:
        table.set("this", exp.to_identifier(CTE_PREFIX + name, quoted=True))
    elif name.lower() == VIEW:
        for part in ("this", "db", "catalog"):
            found = target.args.get(part)
            table.set(part, found.copy() if found is not None else None)
    else:
        raise QueryRefused(f"there is no {name} here; read {VIEW}", field="sql", value=name)


def _without_backslash(text: str) -> exp.Expr:
    """Redshift reads a backslash in a string as an escape, PostgreSQL does not: it is put in by its code."""
    pieces: list[exp.Expr] = []
    for number, piece in enumerate(text.split("\\")):
        if number:
            pieces.append(exp.Chr(expressions=[exp.Literal.number(92)]))
        if piece:
            pieces.append(exp.Literal.string(piece))
    joined = reduce(lambda left, right: exp.DPipe(this=left, expression=right), pieces)
    return exp.Paren(this=joined)


def _limited(tree: exp.Query, limit: int) -> bool:
    """Whether the statement itself asks for no more than `limit` rows."""
    found = tree.args.get("limit")
    count = found and (found.args.get("expression") or found.args.get("count"))
    return isinstance(count, exp.Literal) and count.is_int and int(count.this) <= limit


def _value(name: str, value: Any) -> exp.Expr:
    """A parameter's value as a literal of the tree, quoted by the generator of the dialect."""
    if isinstance(value, str) and "\0" in value:
        raise BadInput("text cannot hold a NUL character", field=f"parameters.{name}")
    if value is None or isinstance(value, bool | int | float | str | Decimal):
        return exp.convert(value)
    if isinstance(value, datetime):
        return exp.convert(format_time(value))
    if isinstance(value, date):
        return exp.convert(value.isoformat())
    if isinstance(value, list | tuple) and value:
        return exp.Tuple(expressions=[_value(name, item) for item in value])
    raise BadInput(
        f"a parameter cannot be a {type(value).__name__}", field=f"parameters.{name}", fix="text, number, time or list"
    )
