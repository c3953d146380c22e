"""One SELECT over known views passes; whatever else anybody has thought of does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.selects import only_select
from tools.tool import TryDifferently

VIEWS = ("orders", "order_lines", "refunds", "tickets")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("select 1", "SELECT 1"),
        ("SELECT * FROM ORDERS;", "SELECT * FROM reports.ORDERS"),
        ('select * from "orders" o', 'SELECT * FROM reports."orders" AS o'),
        ("select * from reports.refunds", "SELECT * FROM reports.refunds"),
        (
            "select status, count(*) filter (where total_cents > 5) n from orders group by 1",
            "SELECT status, COUNT(*) FILTER(WHERE total_cents > 5) AS n "
            "FROM reports.orders GROUP BY 1",
        ),
        (
            "with Big as (select * from orders) select * from big join tickets using (order_id)",
            "WITH Big AS (SELECT * FROM reports.orders) "
            "SELECT * FROM big JOIN reports.tickets USING (order_id)",
        ),
        (
            "select date_trunc('month', placed_at)::date from orders where placed_at > "
            "now() - interval '3 months' and customer ilike '%o%' order by 1 desc limit 3",
            "SELECT CAST(DATE_TRUNC('MONTH', placed_at) AS DATE) FROM reports.orders WHERE "
            "placed_at > CURRENT_TIMESTAMP - INTERVAL '3 MONTHS' AND customer ILIKE '%o%' "
            "ORDER BY 1 DESC LIMIT 3",
        ),
        (
            "select 1 from orders union all select 2 from refunds",
            "SELECT 1 FROM reports.orders UNION ALL SELECT 2 FROM reports.refunds",
        ),
        ("select 'a' /* x; drop table y */ -- z", "SELECT 'a'"),
        ("select 'it''s; -- fine'", "SELECT 'it''s; -- fine'"),
        ("select 'a\0b'", "SELECT 'a\ufffdb'"),
    ],
)
def test_a_select_is_written_anew(text: str, sent: str) -> None:
    """What was understood is what is sent: views with their schema, and no comments."""
    assert only_select(text, VIEWS) == sent


REFUSED = {
    # other statements
    "set": "set statement_timeout = 0",
    "set local": "set local default_transaction_read_only = off",
    "reset": "reset all",
    "insert": "insert into orders values (1)",
    "update": "update orders set status = 'x'",
    "delete": "delete from orders",
    "truncate": "truncate orders",
    "create": "create table x (a int)",
    "temporary": "create temporary table x as select 1",
    "copy": "copy orders to '/tmp/x'",
    "program": "copy orders to program 'id'",
    "do": "do $$ begin perform pg_sleep(9); end $$",
    "call": "call x()",
    "notify": "notify x",
    "listen": "listen x",
    "lock": "lock table orders",
    "prepare": "prepare x as select 1",
    "execute": "execute x",
    "explain": "explain analyze select 1",
    "begin": "begin",
    "commit": "commit",
    "role": "set role postgres",
    "values": "values (1)",
    "table": "table orders",
    "nothing": "",
    "a comment": "-- select 1",
    "prose": "all orders please",
    # several
    "two": "select 1; select 2",
    "commit first": "select 1; commit; delete from orders",
    "hidden by a comment": "select 1 /* */; /* */ drop table orders",
    # SELECT with more to it
    "into": "select 1 into x",
    "for update": "select * from orders for update",
    "write in with": "with x as (delete from orders returning *) select * from x",
    "insert in with": "with x as (insert into orders values (1) returning *) select * from x",
    "recursive": "with recursive x as (select 1 union all select 1 from x) select * from x",
    "lateral": "select * from orders, lateral (select 1) x",
    "only": "select * from only orders",
    "sample": "select * from orders tablesample system (1)",
    "values in from": "select * from (values (1)) x",
    "parameter": "select $1",
    # other tables
    "catalog": "select * from pg_authid",
    "quoted catalog": 'select * from "pg_catalog"."pg_authid"',
    "information schema": "select * from information_schema.tables",
    "tables": "select * from parley.orders",
    "quoted tables": 'select * from "parley"."orders"',
    "other database": "select * from postgres.reports.orders",
    "upper case": 'select * from "Orders"',
    "unknown": "select * from customers",
    "shadowing the catalog": (
        "select * from (with pg_class as (select 1) select * from pg_class) x, pg_class"
    ),
    "shadowing a view": "with orders as (select 1) select * from orders",
    # functions
    "sleep": "select pg_sleep(60)",
    "qualified sleep": "select pg_catalog.pg_sleep(60)",
    "quoted sleep": 'select "pg_sleep"(60)',
    "advisory lock": "select pg_advisory_lock(1)",
    "try advisory lock": "select pg_try_advisory_xact_lock(1)",
    "notify function": "select pg_notify('a', 'b')",
    "set_config": "select set_config('parley.tenant', 'other', false)",
    "current_setting": "select current_setting('parley.tenant')",
    "file": "select pg_read_file('/etc/passwd')",
    "folder": "select pg_ls_dir('/')",
    "large object": "select lo_import('/etc/passwd')",
    "make large object": "select lo_create(0)",
    "terminate": "select pg_terminate_backend(1)",
    "query in xml": "select query_to_xml('select 1', true, true, '')",
    "table function": "select * from generate_series(1, 1000000000)",
    "function rows": "select * from pg_ls_dir('/')",
    "generate": "select generate_series(1, 1000000000)",
    "user": "select current_user",
    "version": "select version()",
    "sequence": "select nextval('x')",
    "seed": "select setseed(0.5)",
    # text that grows
    "repeat": "select repeat('x', 1000000000)",
    "pad": "select lpad('x', 1000000000)",
    "concatenation": "select a || a from (select status || status as a from orders) x",
    "concat": "select concat(status, status) from orders",
    "replace": "select replace(status, 'a', 'aaaaaaaa') from orders",
    "aggregate": "select string_agg(status, ',') from orders",
    "array": "select array_agg(status) from orders",
    "padded type": "select cast('x' as char(10000000))",
    "catalog type": "select 'pg_authid'::regclass",
    "unknown type": "select 'x'::xml",
    # size
    "long": "select 1" + " " * 4000,
    "many parts": "select " + ", ".join("1" * 900),
    "deep": "select " + "(" * 900 + "1" + ")" * 900,
    "escapes": "select E'\\x41'",
    "dollars": "select $$a$$",
    "operator": "select 1 operator(pg_catalog.+) 1",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_row_21_everything_else_is_refused(text: str) -> None:
    """Fault 21: refused before the server sees it, with a sentence for the model."""
    with pytest.raises(TryDifferently) as caught:
        only_select(text, VIEWS)
    assert str(caught.value)


def test_a_refusal_says_what_there_is() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(TryDifferently, match="There are: order_lines, orders, refunds, tickets"):
        only_select("select * from customers", VIEWS)


@given(st.text("selctfromwh*()'\";-/$ ordes,1=|", max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a model writes is a statement or a sentence about what is wrong."""
    try:
        told = only_select(f"select {text}", VIEWS)
    except TryDifferently as refusal:
        told = str(refusal)
    assert told
