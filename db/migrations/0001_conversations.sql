-- Threads, messages, runs, their events and the turn log.
-- Every table carries its tenant and hides the rows of others; see the end of the file.

create table threads (
    tenant_id   text        not null,
    thread_id   uuid        not null,
    user_id     text        not null,
    title       text        not null default '',
    metadata    jsonb       not null default '{}',
    last_seq    integer     not null default 0,   -- sequence number of the newest message
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    primary key (thread_id)
);
create index threads_by_update on threads (tenant_id, updated_at desc, thread_id);

create table runs (
    tenant_id        text        not null,
    run_id           uuid        not null,
    thread_id        uuid        not null references threads on delete cascade,
    user_id          text        not null,
    status           text        not null check (status in ('running', 'succeeded', 'failed', 'cancelled')),
    input            jsonb       not null,             -- the TurnState a run begins with
    error            jsonb,                            -- {code, message} of a failed run
    attempt          integer     not null default 1,
    lease_owner      text        not null,             -- the process that works on it
    lease_token      bigint      not null default 1,   -- fencing: raised at each takeover
    lease_expires_at timestamptz not null,
    cancel_requested boolean     not null default false,
    created_at       timestamptz not null default now(),
    finished_at      timestamptz,
    primary key (run_id)
);
create unique index runs_one_active on runs (thread_id) where status = 'running';
create index runs_by_lease on runs (lease_expires_at) where status = 'running';
create index runs_by_thread on runs (thread_id, created_at);

create table messages (
    tenant_id   text        not null,
    thread_id   uuid        not null references threads on delete cascade,
    seq         integer     not null,                  -- 1, 2, 3 … within the thread
    message_id  uuid        not null,
    run_id      uuid        not null references runs on delete cascade,
    role        text        not null check (role in ('user', 'assistant')),
    content     text        not null,
    citations   jsonb       not null default '[]',
    abstained   boolean     not null default false,
    created_at  timestamptz not null default now(),
    primary key (thread_id, seq),
    unique (message_id)
);

-- One row holds a stretch of the log: events first_seq … last_seq, in order.
create table run_events (
    tenant_id   text        not null,
    run_id      uuid        not null references runs on delete cascade,
    first_seq   bigint      not null,
    last_seq    bigint      not null,
    events      jsonb       not null,                  -- [[seq, type, data], …]
    created_at  timestamptz not null default now(),
    primary key (run_id, first_seq)
);

-- The turn log: what was asked, found, sent and answered, with the time each stage took.
create table turns (
    tenant_id      text        not null,
    run_id         uuid        not null references runs on delete cascade,
    thread_id      uuid        not null,
    intent         text,
    query          text,
    prompt_name    text,
    prompt_version integer,
    prompt_sha256  text,
    prompt         jsonb       not null default '[]',  -- messages as sent; history by message id
    passages       jsonb       not null default '[]',  -- with the score of each retriever
    raw_answer     text        not null default '',
    model          jsonb,
    usage          jsonb,
    stages         jsonb       not null default '{}',  -- node -> milliseconds
    first_token_ms real,
    total_ms       real        not null,
    outcome        text        not null,               -- answered | abstained | refused | failed | cancelled
    created_at     timestamptz not null default now(),
    primary key (run_id)
);

-- Runs whose process died, across tenants: the only question that crosses the border.
-- The function runs as a role that may do nothing else.
create function take_over_runs(worker text, lease_seconds double precision, most integer)
returns table (tenant_id text, run_id uuid)
language sql security definer set search_path from current as $$
    update runs r
       set lease_owner = worker,
           lease_token = r.lease_token + 1,
           attempt = r.attempt + 1,
           lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id in (
               select x.run_id from runs x
                where x.status = 'running' and x.lease_expires_at < now()
                order by x.lease_expires_at
                limit most
                  for update skip locked)
    returning r.tenant_id, r.run_id
$$;

create function renew_leases(worker text, lease_seconds double precision)
returns table (run_id uuid, lease_token bigint, cancel_requested boolean)
language sql security definer set search_path from current as $$
    update runs r
       set lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.status = 'running' and r.lease_owner = worker
    returning r.run_id, r.lease_token, r.cancel_requested
$$;
