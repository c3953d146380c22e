-- What is asked of the knowledge base in the background, document by document, and what came
-- of it. The queue itself belongs to procrastinate, in schema jobs; its rows carry ids alone,
-- because they are the same for every tenant.

create table ingestions (
    tenant_id      text        not null,
    ingestion_id   uuid        not null default gen_random_uuid(),
    batch_id       uuid        not null,                 -- what was asked for together
    action         text        not null check (action in ('read', 'forget')),
    uri            text        not null collate "C",
    shown          text        not null,                 -- as whoever asked calls it
    size_bytes     bigint      not null default 0,
    content_sha256 bytea,                                -- of an upload: the same again is no work
    options        jsonb       not null default '{}',    -- owners, groups, labels, where given
    priority       integer     not null default 0,
    state          text        not null default 'queued'
                   check (state in ('queued', 'working', 'done', 'parked', 'cancelled')),
    attempts       integer     not null default 0,       -- begun, not handed back by a drain
    outcome        text check (outcome in ('added', 'changed', 'unchanged', 'removed')),
    chunks         integer     not null default 0,       -- stored now
    failed         integer     not null default 0,       -- lines of JSON Lines that were not read
    code           text,                                 -- of the newest failure, and its reason
    message        text,
    job_id         bigint,                               -- procrastinate's; a later one wins
    created_at     timestamptz not null default now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    primary key (tenant_id, ingestion_id)
);
create index ingestions_by_batch on ingestions (tenant_id, batch_id);
create index ingestions_by_uri on ingestions (tenant_id, uri);
create index ingestions_parked on ingestions (tenant_id, finished_at) where state = 'parked';

-- An upload in pieces, until it was read: any replica may be the one that reads it.
create table uploads (
    tenant_id    text    not null,
    ingestion_id uuid    not null,
    ordinal      integer not null,                       -- 0, 1, 2 …
    content      bytea   not null,                       -- a mebibyte at most
    primary key (tenant_id, ingestion_id, ordinal),
    foreign key (tenant_id, ingestion_id) references ingestions on delete cascade
);
alter table uploads alter column content set storage external;

select protect('ingestions');
select protect('uploads');
