"""A schema as the catalogue describes it, free of its name: two that are alike give equal sets."""

from __future__ import annotations

from typing import Any

_QUERY = """
WITH t AS (SELECT oid, relname, relkind, relacl, reloptions FROM pg_class
    WHERE relnamespace = '{schema}'::regnamespace AND relname NOT LIKE 'django_migrations%%'),
columns AS (
    SELECT 'column', t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
        concat_ws('|', a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid),
            row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum))
    FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum WHERE t.relkind = 'r'),
constraints AS (
    SELECT 'constraint', t.relname::text, c.conname::text, pg_get_constraintdef(c.oid), c.convalidated::text
    FROM t JOIN pg_constraint c ON c.conrelid = t.oid),
indexes AS (
    SELECT 'index', t.relname::text, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid::text
    FROM t JOIN pg_index i ON i.indrelid = t.oid),
rights AS (
    SELECT 'right', t.relname::text, '', g.grantee::regrole::text, g.privilege_type
    FROM t CROSS JOIN LATERAL aclexplode(t.relacl) g WHERE g.grantee <> 'kameng_owner'::regrole
    UNION ALL
    SELECT 'right', t.relname::text, a.attname::text, g.grantee::regrole::text, g.privilege_type
    FROM t JOIN pg_attribute a ON a.attrelid = t.oid CROSS JOIN LATERAL aclexplode(a.attacl) g
    WHERE g.grantee <> 'kameng_owner'::regrole),
things AS (SELECT 'thing', t.relname::text, t.relkind::text, coalesce(array_to_string(t.reloptions, ' '), ''), '' FROM t)
SELECT * FROM columns UNION ALL SELECT * FROM constraints UNION ALL SELECT * FROM indexes
UNION ALL SELECT * FROM rights UNION ALL SELECT * FROM things
"""


def catalogue(network: Any, schema: str) -> set[tuple[str, ...]]:
    """Tables with their storage options, columns in their order, constraints, indexes, sequences and rights."""
    rows = network.sql(_QUERY.format(schema=schema).replace("%%", "%"))
    return {tuple(str(cell).replace(schema, "@schema@") for cell in row) for row in rows}
