-- prepare --
-- Makes the schema of the queue, and the book of what its library has changed there.
create schema if not exists jobs;
create table if not exists jobs.migrations (
    name       text        primary key,
    applied_at timestamptz not null default now()
)

-- has_book --
-- Tells whether the queue was ever installed.
select to_regclass('jobs.migrations') is not null as found

-- applied --
-- Returns which of the library's migrations are in place.
select name from jobs.migrations

-- record --
-- Notes that migrations are in place.
insert into jobs.migrations (name) select unnest(%(names)s::text[])

-- grant --
-- Lets the application use the queue, and not change what it is made of.
grant usage on schema jobs to parley_app;
grant select, insert, update, delete on all tables in schema jobs to parley_app;
grant usage on all sequences in schema jobs to parley_app;
revoke insert, update, delete on jobs.migrations from parley_app
