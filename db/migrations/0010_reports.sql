-- What a model may ask in SQL: views over a tenant's own rows, read by a role that has no more.

-- Nobody can log in as this role until a migration is given its URL (db/migrate.py).
-- Its settings stand between a careless question and everybody else's work; a session could
-- change most of them, so tools/query_database.py sets them again where it matters.
do $$
begin
    create role parley_reader nologin connection limit 8;
    alter role parley_reader set default_transaction_read_only = on;
    alter role parley_reader set statement_timeout = '10s';
    alter role parley_reader set lock_timeout = '1s';
    alter role parley_reader set idle_in_transaction_session_timeout = '30s';
    alter role parley_reader set work_mem = '4MB';
    alter role parley_reader set max_parallel_workers_per_gather = 0;
    begin
        alter role parley_reader set temp_file_limit = '64MB';  -- sessions cannot change it
    exception when insufficient_privilege then
        raise notice 'only a superuser can set temp_file_limit for parley_reader; see the guide';
    end;
exception when duplicate_object or unique_violation then null;
end
$$;

create schema if not exists reports;
grant usage on schema reports to parley_reader;

-- The owner reads for whoever asks, so the condition is written out: row-level security does
-- not hold a superuser. A barrier: no function of a question sees a row of somebody else.
create function reports.tenant() returns text
language sql stable
return nullif(current_setting('parley.tenant', true), '');

create view reports.orders with (security_barrier) as
select o.order_id, o.customer, o.status, o.currency,
       coalesce((select sum(l.quantity * l.unit_cents)::bigint
                   from parley.order_lines l
                  where l.tenant_id = o.tenant_id and l.order_id = o.order_id), 0) as total_cents,
       coalesce((select sum(r.cents)::bigint
                   from parley.refunds r
                  where r.tenant_id = o.tenant_id and r.order_id = o.order_id), 0) as refunded_cents,
       o.placed_at, o.shipped_at, o.delivered_at, o.cancelled_at, o.cancel_reason
  from parley.orders o
 where o.tenant_id = reports.tenant();
comment on view reports.orders is 'One row per order; status is placed, shipped, delivered or cancelled.';

create view reports.order_lines with (security_barrier) as
select l.order_id, l.line, l.article, l.quantity, l.unit_cents
  from parley.order_lines l
 where l.tenant_id = reports.tenant();
comment on view reports.order_lines is 'What was ordered; unit_cents is the price of one.';

create view reports.refunds with (security_barrier) as
select r.refund_id, r.order_id, r.cents, r.reason, r.refunded_by, r.refunded_at
  from parley.refunds r
 where r.tenant_id = reports.tenant();
comment on view reports.refunds is 'Money that went back to customers.';

create view reports.tickets with (security_barrier) as
select t.ticket_id, t.order_id, t.subject, t.body, t.status, t.opened_by, t.opened_at
  from parley.tickets t
 where t.tenant_id = reports.tenant();
comment on view reports.tickets is 'Requests that somebody has to look at; status is open or closed.';

grant select on all tables in schema reports to parley_reader;
