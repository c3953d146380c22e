-- try_lock --
-- Becomes the one process that migrates; false when another one is at it.
select pg_try_advisory_lock(7092346015) as locked

-- unlock --
-- Lets the next process look.
select pg_advisory_unlock(7092346015)

-- prepare --
-- Makes the schemas and the book of migrations.
create schema if not exists parley;
create schema if not exists checkpoints;
create table if not exists parley.migrations (
    name       text        primary key,
    sha256     text        not null,
    applied_at timestamptz not null default now()
)

-- has_book --
-- Tells whether this database was ever migrated.
select to_regclass('parley.migrations') is not null as found

-- applied --
-- Returns what was applied, with the digest of each file as it was then.
select name, sha256 from parley.migrations

-- record --
-- Notes that a migration was applied.
insert into parley.migrations (name, sha256) values (%(name)s, %(sha256)s)

-- search_path --
-- Looks into our schemas first, for the whole session.
select set_config('search_path', %(path)s, false)

-- checkpoints_version --
-- Returns the newest migration of the checkpointer's own tables.
select max(v) as version from checkpoints.checkpoint_migrations

-- has_checkpoints --
-- Tells whether the checkpointer's tables exist.
select to_regclass('checkpoints.checkpoint_migrations') is not null as found

-- grant_checkpoints --
-- Lets the application use the checkpointer's tables.
grant select, insert, update, delete on all tables in schema checkpoints to parley_app
