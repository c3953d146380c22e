-- What the database is: the sum of db/migrations, for reading.
-- Written by `python -m db schema`; a test compares the two. The tables of the checkpointer and of
-- the job queue, in schemas of their own, are their own business and not shown.

SET check_function_bodies = off;
CREATE ROLE parley_app LOGIN;
CREATE ROLE parley_sweeper NOLOGIN;
CREATE ROLE parley_auditor NOLOGIN;
CREATE ROLE parley_reader NOLOGIN CONNECTION LIMIT 8;  -- its settings: 0010_reports.sql
CREATE SCHEMA checkpoints;
GRANT USAGE ON SCHEMA checkpoints TO parley_app;
CREATE EXTENSION vector WITH SCHEMA public;

CREATE SCHEMA parley;

CREATE SCHEMA reports;

CREATE FUNCTION parley.approvals_due(most integer) RETURNS TABLE(tenant_id text, approval_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    select a.tenant_id, a.approval_id from approvals a
     where a.status = 'pending'
       and (a.expires_at <= now() or a.escalates_at <= now() and a.escalated_at is null)
     order by a.expires_at limit most
$$;

ALTER FUNCTION parley.approvals_due(most integer) OWNER TO parley_sweeper;

CREATE FUNCTION parley.audit(kind text, actor text, subject text, details jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
declare
    tenant text := nullif(current_setting('parley.tenant', true), '');
    head   audit_heads;
    moment timestamptz;
    digest bytea;
begin
    insert into audit_heads values (tenant, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing;
    select * into head from audit_heads h where h.tenant_id = tenant for update;
    moment := clock_timestamp();
    digest := sha256(head.hash || convert_to(
        audit_entry(tenant, head.seq + 1, moment, kind, actor, subject, details), 'UTF8'));
    insert into audit_log values (tenant, head.seq + 1, moment, kind, actor, subject, details, head.hash, digest);
    update audit_heads h set seq = head.seq + 1, hash = digest where h.tenant_id = tenant;
    return head.seq + 1;
end
$$;

ALTER FUNCTION parley.audit(kind text, actor text, subject text, details jsonb) OWNER TO parley_auditor;

CREATE FUNCTION parley.audit_entry(tenant_id text, seq bigint, at timestamp with time zone, kind text, actor text, subject text, details jsonb) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog'
    AS $$
    select jsonb_build_array(tenant_id, seq, (extract(epoch from at) * 1000000)::bigint,
                             kind, actor, subject, details)::text
$$;

CREATE FUNCTION parley.audit_head() RETURNS TABLE(seq bigint, hash bytea)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    select h.seq, h.hash from audit_heads h
     where h.tenant_id = nullif(current_setting('parley.tenant', true), '')
$$;

ALTER FUNCTION parley.audit_head() OWNER TO parley_auditor;

CREATE FUNCTION parley.audit_tenants() RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    select h.tenant_id from audit_heads h order by h.tenant_id
$$;

ALTER FUNCTION parley.audit_tenants() OWNER TO parley_auditor;

CREATE FUNCTION parley.claim_queued_runs(worker text, lease_seconds double precision, most integer) RETURNS TABLE(tenant_id text, run_id uuid)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    update runs r
       set status = 'running',
           lease_owner = worker,
           lease_token = r.lease_token + 1,
           attempt = r.attempt + 1,
           lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id in (
               select x.run_id from runs x
                where x.status = 'queued'
                  and not exists (
                          select from runs y
                           where y.thread_id = x.thread_id
                             and (y.status = 'running'
                                  or y.status = 'queued'
                                     and (y.created_at, y.run_id) < (x.created_at, x.run_id)))
                order by x.created_at
                limit most
                  for update skip locked)
    returning r.tenant_id, r.run_id
$$;

ALTER FUNCTION parley.claim_queued_runs(worker text, lease_seconds double precision, most integer) OWNER TO parley_sweeper;

CREATE FUNCTION parley.forget_answers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'parley', 'pg_temp'
    AS $$
begin
    delete from answers
     where (tenant_id, answer_id) in (
               select a.tenant_id, a.answer_id from answers a
                where a.tenant_id = old.tenant_id and a.documents @> array[old.document_id]
                  for update skip locked);
    return null;
end
$$;

CREATE FUNCTION parley.forget_findings(general_days integer, own_days jsonb) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    with forgotten as (
        update turns t set findings = null
         where t.findings is not null
           and t.created_at
               < now() - make_interval(days => coalesce((own_days ->> t.tenant_id)::integer, general_days))
        returning 1)
    select count(*) from forgotten
$$;

ALTER FUNCTION parley.forget_findings(general_days integer, own_days jsonb) OWNER TO parley_sweeper;

CREATE FUNCTION parley.forget_keywords() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'parley', 'pg_temp'
    AS $$
begin
    with fresh as (
        delete from keyword_fresh f using gone g
         where f.tenant_id = g.tenant_id and f.chunk_id = g.chunk_id
        returning f.tenant_id, f.chunk_id
    )
    insert into keyword_tombstones (tenant_id, chunk_id)
    select tenant_id, chunk_id from gone
    except
    select tenant_id, chunk_id from fresh;
    return null;
end
$$;

CREATE FUNCTION parley.note_for_engines() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'parley', 'pg_temp'
    AS $$
begin
    insert into engine_changes (tenant_id, engine, document_id)
    select c.tenant_id, c.engine, coalesce(new.document_id, old.document_id)
      from engine_copies c
     where c.tenant_id = coalesce(new.tenant_id, old.tenant_id)
    on conflict (tenant_id, engine, document_id) do update set change_id = excluded.change_id;
    return null;
end
$$;

CREATE FUNCTION parley.note_writing() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.written := pg_current_xact_id();
    return new;
end
$$;

CREATE FUNCTION parley.protect(target regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'parley', 'pg_temp'
    AS $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s
            using (tenant_id = nullif(current_setting(''parley.tenant'', true), ''''))
            with check (tenant_id = nullif(current_setting(''parley.tenant'', true), ''''))',
        target);
    execute format('grant select, insert, update, delete on %s to parley_app', target);
end
$$;

CREATE FUNCTION parley.readable(owners text[], groups text[], reader text, member_of text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((reader IS NULL) OR ((owners = '{}'::text[]) AND (groups = '{}'::text[])) OR (reader = ANY (owners)) OR (groups && member_of));

CREATE FUNCTION parley.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if tg_op = 'INSERT' and current_user = 'parley_auditor' then
        return null;
    end if;
    raise exception 'the audit log is only ever appended to';
end
$$;

CREATE FUNCTION parley.renew_leases(worker text, run_ids uuid[], lease_seconds double precision) RETURNS TABLE(run_id uuid, lease_token bigint, cancel_requested boolean)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    update runs r
       set lease_expires_at = now() + make_interval(secs => lease_seconds)
     where r.run_id = any(run_ids) and r.status = 'running' and r.lease_owner = worker
    returning r.run_id, r.lease_token, r.cancel_requested
$$;

ALTER FUNCTION parley.renew_leases(worker text, run_ids uuid[], lease_seconds double precision) OWNER TO parley_sweeper;

CREATE FUNCTION parley.share_reached(usd numeric, limit_usd numeric) RETURNS smallint
    LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN (usd >= limit_usd) THEN 100 WHEN (usd >= (0.8 * limit_usd)) THEN 80 WHEN (usd >= (0.5 * limit_usd)) THEN 50 ELSE 0 END)::smallint;

CREATE TABLE parley.runs (
    tenant_id text NOT NULL,
    run_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    user_id text NOT NULL,
    status text NOT NULL,
    input jsonb NOT NULL,
    error jsonb,
    attempt integer DEFAULT 1 NOT NULL,
    lease_owner text NOT NULL,
    lease_token bigint DEFAULT 1 NOT NULL,
    lease_expires_at timestamp with time zone NOT NULL,
    cancel_requested boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    resumes integer DEFAULT 0 NOT NULL,
    CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'waiting'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY parley.runs FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.spending (
    tenant_id text NOT NULL,
    run_id uuid NOT NULL,
    number integer NOT NULL,
    day date NOT NULL,
    user_id text NOT NULL,
    thread_id uuid NOT NULL,
    model text NOT NULL,
    task text NOT NULL,
    prompt_tokens integer NOT NULL,
    completion_tokens integer NOT NULL,
    usd numeric NOT NULL
);

ALTER TABLE ONLY parley.spending FORCE ROW LEVEL SECURITY;

CREATE FUNCTION parley.spent_since(scope text, subject text, since date) RETURNS numeric
    LANGUAGE sql STABLE
    RETURN COALESCE(CASE scope WHEN 'tenant'::text THEN (SELECT sum(s.usd) AS sum FROM parley.spending s WHERE (s.day >= spent_since.since)) WHEN 'user'::text THEN (SELECT sum(s.usd) AS sum FROM parley.spending s WHERE ((s.day >= spent_since.since) AND (s.user_id = spent_since.subject))) ELSE (SELECT sum(s.usd) AS sum FROM parley.spending s WHERE ((s.run_id IN (SELECT r.run_id FROM parley.runs r WHERE (r.thread_id = (spent_since.subject)::uuid))) AND (s.day >= spent_since.since))) END, (0)::numeric);

CREATE FUNCTION parley.take_notices(seconds double precision, most integer) RETURNS TABLE(tenant_id text, notice_id uuid, kind text, body jsonb, attempts integer, created_at timestamp with time zone)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
    update notices n
       set attempts = n.attempts + 1, next_at = now() + make_interval(secs => seconds)
     where (n.tenant_id, n.notice_id) in (
               select x.tenant_id, x.notice_id from notices x
                where x.delivered_at is null and x.given_up_at is null and x.next_at <= now()
                order by x.next_at limit most for update skip locked)
    returning n.tenant_id, n.notice_id, n.kind, n.body, n.attempts, n.created_at
$$;

ALTER FUNCTION parley.take_notices(seconds double precision, most integer) OWNER TO parley_sweeper;

CREATE FUNCTION parley.take_over_runs(worker text, lease_seconds double precision, most integer) RETURNS TABLE(tenant_id text, run_id uuid)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'parley', 'pg_temp'
    AS $$
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

ALTER FUNCTION parley.take_over_runs(worker text, lease_seconds double precision, most integer) OWNER TO parley_sweeper;

CREATE FUNCTION reports.tenant() RETURNS text
    LANGUAGE sql STABLE
    RETURN NULLIF(current_setting('parley.tenant'::text, true), ''::text);

CREATE UNLOGGED TABLE parley.answers (
    tenant_id text NOT NULL,
    answer_id uuid DEFAULT gen_random_uuid() NOT NULL,
    policy bytea NOT NULL,
    key bytea NOT NULL,
    reader text,
    member_of text[] NOT NULL,
    question text NOT NULL,
    embedding public.halfvec(384) NOT NULL,
    turn jsonb NOT NULL,
    documents uuid[] NOT NULL,
    versions bigint[] NOT NULL,
    nearest real NOT NULL,
    horizon xid8 NOT NULL,
    hits integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
)
WITH (fillfactor='80');

ALTER TABLE ONLY parley.answers FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.approval_votes (
    tenant_id text NOT NULL,
    approval_id uuid NOT NULL,
    reviewer text NOT NULL,
    digest text NOT NULL,
    voted_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY parley.approval_votes FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.approvals (
    tenant_id text NOT NULL,
    approval_id uuid NOT NULL,
    call_id uuid NOT NULL,
    run_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    kind text NOT NULL,
    tool text NOT NULL,
    effect text NOT NULL,
    arguments jsonb NOT NULL,
    proposed jsonb NOT NULL,
    digest text NOT NULL,
    policy text NOT NULL,
    rule text NOT NULL,
    requested_by text NOT NULL,
    quorum integer NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    taint jsonb DEFAULT '[]'::jsonb NOT NULL,
    evidence jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    escalates_at timestamp with time zone,
    escalated_at timestamp with time zone,
    claimed_by text,
    claimed_until timestamp with time zone,
    decided_by text,
    decided_at timestamp with time zone,
    reason text DEFAULT ''::text NOT NULL,
    answer text,
    CONSTRAINT approvals_kind_check CHECK ((kind = ANY (ARRAY['action'::text, 'outcome'::text]))),
    CONSTRAINT approvals_quorum_check CHECK ((quorum > 0)),
    CONSTRAINT approvals_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'approved'::text, 'rejected'::text, 'answered'::text, 'expired'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY parley.approvals FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.audit_heads (
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);

ALTER TABLE ONLY parley.audit_heads FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.audit_log (
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL
);

ALTER TABLE ONLY parley.audit_log FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.budget_periods (
    tenant_id text NOT NULL,
    scope text NOT NULL,
    subject text NOT NULL,
    per text NOT NULL,
    starts date NOT NULL,
    usd numeric NOT NULL,
    limit_usd numeric NOT NULL,
    reached smallint NOT NULL,
    reached_before smallint NOT NULL,
    CONSTRAINT budget_periods_per_check CHECK ((per = ANY (ARRAY['day'::text, 'month'::text]))),
    CONSTRAINT budget_periods_scope_check CHECK ((scope = ANY (ARRAY['tenant'::text, 'user'::text, 'thread'::text])))
)
WITH (fillfactor='80');

ALTER TABLE ONLY parley.budget_periods FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE parley.chunk_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE parley.chunks (
    tenant_id text NOT NULL,
    chunk_id bigint DEFAULT nextval('parley.chunk_ids'::regclass) NOT NULL,
    document_id uuid NOT NULL,
    ordinal integer NOT NULL,
    text text NOT NULL,
    section text DEFAULT ''::text NOT NULL,
    page integer,
    tokens integer NOT NULL,
    embedding public.halfvec(384) NOT NULL,
    digest bytea,
    late bytea
)
PARTITION BY HASH (tenant_id);
ALTER TABLE ONLY parley.chunks ALTER COLUMN late SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.chunks FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE parley.document_versions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE parley.documents (
    tenant_id text NOT NULL,
    document_id uuid DEFAULT gen_random_uuid() NOT NULL,
    uri text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL,
    media_type text NOT NULL,
    content_sha256 bytea NOT NULL,
    embedding_model text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    language text,
    author text,
    chunks integer DEFAULT 0 NOT NULL,
    tokens integer DEFAULT 0 NOT NULL,
    bytes bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    owners text[] DEFAULT '{}'::text[] NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    labels text[] DEFAULT '{}'::text[] NOT NULL,
    modified_at timestamp with time zone,
    version bigint DEFAULT nextval('parley.document_versions'::regclass) NOT NULL,
    written xid8 DEFAULT pg_current_xact_id() NOT NULL
);

ALTER TABLE ONLY parley.documents FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE parley.engine_change_ids
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE parley.engine_changes (
    tenant_id text NOT NULL,
    engine text NOT NULL,
    document_id uuid NOT NULL,
    change_id bigint DEFAULT nextval('parley.engine_change_ids'::regclass) NOT NULL
);

ALTER TABLE ONLY parley.engine_changes FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.engine_copies (
    tenant_id text NOT NULL,
    engine text NOT NULL,
    noted boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY parley.engine_copies FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.ingestions (
    tenant_id text NOT NULL,
    ingestion_id uuid DEFAULT gen_random_uuid() NOT NULL,
    batch_id uuid NOT NULL,
    action text NOT NULL,
    uri text NOT NULL COLLATE pg_catalog."C",
    shown text NOT NULL,
    size_bytes bigint DEFAULT 0 NOT NULL,
    content_sha256 bytea,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    outcome text,
    chunks integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    code text,
    message text,
    job_id bigint,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT ingestions_action_check CHECK ((action = ANY (ARRAY['read'::text, 'forget'::text]))),
    CONSTRAINT ingestions_outcome_check CHECK ((outcome = ANY (ARRAY['added'::text, 'changed'::text, 'unchanged'::text, 'removed'::text]))),
    CONSTRAINT ingestions_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'working'::text, 'done'::text, 'parked'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY parley.ingestions FORCE ROW LEVEL SECURITY;

CREATE SEQUENCE parley.keyword_entries
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE parley.keyword_fresh (
    tenant_id text NOT NULL,
    entry_id bigint DEFAULT nextval('parley.keyword_entries'::regclass) NOT NULL,
    chunk_id bigint NOT NULL,
    words integer NOT NULL,
    lexemes jsonb NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY parley.keyword_fresh ALTER COLUMN lexemes SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.keyword_fresh FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.keyword_postings (
    tenant_id text NOT NULL,
    segment_id bigint NOT NULL,
    lexeme text NOT NULL COLLATE pg_catalog."C",
    chunks integer NOT NULL,
    dense boolean NOT NULL,
    packed bytea NOT NULL
);
ALTER TABLE ONLY parley.keyword_postings ALTER COLUMN packed SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.keyword_postings FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.keyword_segments (
    tenant_id text NOT NULL,
    segment_id bigint NOT NULL,
    chunks integer NOT NULL,
    alive integer NOT NULL,
    words bigint NOT NULL,
    ids bytea NOT NULL,
    lengths bytea NOT NULL,
    dead bytea
);
ALTER TABLE ONLY parley.keyword_segments ALTER COLUMN ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY parley.keyword_segments ALTER COLUMN lengths SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.keyword_segments FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.keyword_tombstones (
    tenant_id text NOT NULL,
    entry_id bigint DEFAULT nextval('parley.keyword_entries'::regclass) NOT NULL,
    chunk_id bigint NOT NULL
);

ALTER TABLE ONLY parley.keyword_tombstones FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.messages (
    tenant_id text NOT NULL,
    thread_id uuid NOT NULL,
    seq integer NOT NULL,
    message_id uuid NOT NULL,
    run_id uuid NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    citations jsonb DEFAULT '[]'::jsonb NOT NULL,
    abstained boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    taint jsonb,
    CONSTRAINT messages_role_check CHECK ((role = ANY (ARRAY['user'::text, 'assistant'::text])))
);

ALTER TABLE ONLY parley.messages FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE parley.notices (
    tenant_id text NOT NULL,
    notice_id uuid DEFAULT gen_random_uuid() NOT NULL,
    kind text NOT NULL,
    body jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    delivered_at timestamp with time zone,
    given_up_at timestamp with time zone,
    error text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY parley.notices FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.order_lines (
    tenant_id text NOT NULL,
    order_id text NOT NULL,
    line integer NOT NULL,
    article text NOT NULL,
    quantity integer NOT NULL,
    unit_cents bigint NOT NULL,
    CONSTRAINT order_lines_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT order_lines_unit_cents_check CHECK ((unit_cents >= 0))
);

ALTER TABLE ONLY parley.order_lines FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.orders (
    tenant_id text NOT NULL,
    order_id text NOT NULL,
    customer text NOT NULL,
    status text NOT NULL,
    currency text DEFAULT 'EUR'::text NOT NULL,
    address text NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    shipped_at timestamp with time zone,
    delivered_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    cancel_reason text,
    CONSTRAINT orders_status_check CHECK ((status = ANY (ARRAY['placed'::text, 'shipped'::text, 'delivered'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY parley.orders FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.placeholders (
    tenant_id text NOT NULL,
    thread_id uuid NOT NULL,
    placeholder text NOT NULL,
    value text NOT NULL
);

ALTER TABLE ONLY parley.placeholders FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.refunds (
    tenant_id text NOT NULL,
    refund_id uuid DEFAULT gen_random_uuid() NOT NULL,
    order_id text NOT NULL,
    cents bigint NOT NULL,
    reason text NOT NULL,
    refunded_by text NOT NULL,
    refunded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT refunds_cents_check CHECK ((cents > 0))
);

ALTER TABLE ONLY parley.refunds FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.request_keys (
    tenant_id text NOT NULL,
    user_id text NOT NULL,
    key text NOT NULL,
    request text NOT NULL,
    run_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY parley.request_keys FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.run_events (
    tenant_id text NOT NULL,
    run_id uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    events jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    packed bytea
);
ALTER TABLE ONLY parley.run_events ALTER COLUMN packed SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.run_events FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.shop_actions (
    tenant_id text NOT NULL,
    key text NOT NULL,
    action text NOT NULL,
    arguments jsonb NOT NULL,
    result text DEFAULT ''::text NOT NULL,
    acted_by text NOT NULL,
    acted_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY parley.shop_actions FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.threads (
    tenant_id text NOT NULL,
    thread_id uuid NOT NULL,
    user_id text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    last_seq integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='75');

ALTER TABLE ONLY parley.threads FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.tickets (
    tenant_id text NOT NULL,
    ticket_id uuid DEFAULT gen_random_uuid() NOT NULL,
    order_id text,
    subject text NOT NULL,
    body text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tickets_status_check CHECK ((status = ANY (ARRAY['open'::text, 'closed'::text])))
);

ALTER TABLE ONLY parley.tickets FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.tool_calls (
    tenant_id text NOT NULL,
    call_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    run_id uuid NOT NULL,
    "position" integer NOT NULL,
    tool text NOT NULL,
    arguments jsonb NOT NULL,
    digest text NOT NULL,
    effect text NOT NULL,
    idempotency text NOT NULL,
    taint jsonb DEFAULT '[]'::jsonb NOT NULL,
    policy text NOT NULL,
    rule text NOT NULL,
    status text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    result text,
    code text DEFAULT ''::text NOT NULL,
    sources jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT tool_calls_status_check CHECK ((status = ANY (ARRAY['proposed'::text, 'ready'::text, 'started'::text, 'done'::text, 'refused'::text, 'failed'::text, 'unknown'::text, 'denied'::text, 'rejected'::text, 'answered'::text, 'expired'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY parley.tool_calls FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.turns (
    tenant_id text NOT NULL,
    run_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    intent text,
    query text,
    prompt_name text,
    prompt_version integer,
    prompt_sha256 text,
    prompt jsonb DEFAULT '[]'::jsonb NOT NULL,
    passages jsonb DEFAULT '[]'::jsonb NOT NULL,
    raw_answer text DEFAULT ''::text NOT NULL,
    model jsonb,
    usage jsonb,
    stages jsonb DEFAULT '{}'::jsonb NOT NULL,
    first_token_ms real,
    total_ms real NOT NULL,
    outcome text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retrieval jsonb DEFAULT '{}'::jsonb NOT NULL,
    support jsonb DEFAULT '[]'::jsonb NOT NULL,
    packed bytea,
    findings jsonb
);
ALTER TABLE ONLY parley.turns ALTER COLUMN packed SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.turns FORCE ROW LEVEL SECURITY;

CREATE TABLE parley.uploads (
    tenant_id text NOT NULL,
    ingestion_id uuid NOT NULL,
    ordinal integer NOT NULL,
    content bytea NOT NULL
);
ALTER TABLE ONLY parley.uploads ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE ONLY parley.uploads FORCE ROW LEVEL SECURITY;

CREATE VIEW reports.order_lines WITH (security_barrier='true') AS
 SELECT order_id,
    line,
    article,
    quantity,
    unit_cents
   FROM parley.order_lines l
  WHERE (tenant_id = reports.tenant());

COMMENT ON VIEW reports.order_lines IS 'What was ordered; unit_cents is the price of one.';

CREATE VIEW reports.orders WITH (security_barrier='true') AS
 SELECT order_id,
    customer,
    status,
    currency,
    COALESCE(( SELECT (sum((l.quantity * l.unit_cents)))::bigint AS sum
           FROM parley.order_lines l
          WHERE ((l.tenant_id = o.tenant_id) AND (l.order_id = o.order_id))), (0)::bigint) AS total_cents,
    COALESCE(( SELECT (sum(r.cents))::bigint AS sum
           FROM parley.refunds r
          WHERE ((r.tenant_id = o.tenant_id) AND (r.order_id = o.order_id))), (0)::bigint) AS refunded_cents,
    placed_at,
    shipped_at,
    delivered_at,
    cancelled_at,
    cancel_reason
   FROM parley.orders o
  WHERE (tenant_id = reports.tenant());

COMMENT ON VIEW reports.orders IS 'One row per order; status is placed, shipped, delivered or cancelled.';

CREATE VIEW reports.refunds WITH (security_barrier='true') AS
 SELECT refund_id,
    order_id,
    cents,
    reason,
    refunded_by,
    refunded_at
   FROM parley.refunds r
  WHERE (tenant_id = reports.tenant());

COMMENT ON VIEW reports.refunds IS 'Money that went back to customers.';

CREATE VIEW reports.tickets WITH (security_barrier='true') AS
 SELECT ticket_id,
    order_id,
    subject,
    body,
    status,
    opened_by,
    opened_at
   FROM parley.tickets t
  WHERE (tenant_id = reports.tenant());

COMMENT ON VIEW reports.tickets IS 'Requests that somebody has to look at; status is open or closed.';

ALTER TABLE ONLY parley.answers
    ADD CONSTRAINT answers_pkey PRIMARY KEY (tenant_id, answer_id);

ALTER TABLE ONLY parley.answers
    ADD CONSTRAINT answers_tenant_id_policy_key_reader_key UNIQUE NULLS NOT DISTINCT (tenant_id, policy, key, reader);

ALTER TABLE ONLY parley.approval_votes
    ADD CONSTRAINT approval_votes_pkey PRIMARY KEY (tenant_id, approval_id, reviewer);

ALTER TABLE ONLY parley.approvals
    ADD CONSTRAINT approvals_pkey PRIMARY KEY (tenant_id, approval_id);

ALTER TABLE ONLY parley.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (tenant_id);

ALTER TABLE ONLY parley.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (tenant_id, seq);

ALTER TABLE ONLY parley.budget_periods
    ADD CONSTRAINT budget_periods_pkey PRIMARY KEY (tenant_id, scope, subject, per, starts);

ALTER TABLE ONLY parley.chunks
    ADD CONSTRAINT chunks_pkey PRIMARY KEY (tenant_id, chunk_id);

ALTER TABLE ONLY parley.chunks
    ADD CONSTRAINT chunks_tenant_id_document_id_ordinal_key UNIQUE (tenant_id, document_id, ordinal);

ALTER TABLE ONLY parley.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (tenant_id, document_id);

ALTER TABLE ONLY parley.documents
    ADD CONSTRAINT documents_tenant_id_uri_key UNIQUE (tenant_id, uri);

ALTER TABLE ONLY parley.engine_changes
    ADD CONSTRAINT engine_changes_pkey PRIMARY KEY (tenant_id, engine, document_id);

ALTER TABLE ONLY parley.engine_copies
    ADD CONSTRAINT engine_copies_pkey PRIMARY KEY (tenant_id, engine);

ALTER TABLE ONLY parley.ingestions
    ADD CONSTRAINT ingestions_pkey PRIMARY KEY (tenant_id, ingestion_id);

ALTER TABLE ONLY parley.keyword_fresh
    ADD CONSTRAINT keyword_fresh_pkey PRIMARY KEY (tenant_id, entry_id);

ALTER TABLE ONLY parley.keyword_postings
    ADD CONSTRAINT keyword_postings_pkey PRIMARY KEY (tenant_id, segment_id, lexeme);

ALTER TABLE ONLY parley.keyword_segments
    ADD CONSTRAINT keyword_segments_pkey PRIMARY KEY (tenant_id, segment_id);

ALTER TABLE ONLY parley.keyword_tombstones
    ADD CONSTRAINT keyword_tombstones_pkey PRIMARY KEY (tenant_id, entry_id);

ALTER TABLE ONLY parley.messages
    ADD CONSTRAINT messages_message_id_key UNIQUE (message_id);

ALTER TABLE ONLY parley.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (thread_id, seq);

ALTER TABLE ONLY parley.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY parley.notices
    ADD CONSTRAINT notices_pkey PRIMARY KEY (tenant_id, notice_id);

ALTER TABLE ONLY parley.order_lines
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (tenant_id, order_id, line);

ALTER TABLE ONLY parley.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (tenant_id, order_id);

ALTER TABLE ONLY parley.placeholders
    ADD CONSTRAINT placeholders_pkey PRIMARY KEY (tenant_id, thread_id, placeholder);

ALTER TABLE ONLY parley.refunds
    ADD CONSTRAINT refunds_pkey PRIMARY KEY (tenant_id, refund_id);

ALTER TABLE ONLY parley.request_keys
    ADD CONSTRAINT request_keys_pkey PRIMARY KEY (tenant_id, user_id, key);

ALTER TABLE ONLY parley.run_events
    ADD CONSTRAINT run_events_pkey PRIMARY KEY (run_id, first_seq);

ALTER TABLE ONLY parley.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY parley.runs
    ADD CONSTRAINT runs_tenant_id_run_id_key UNIQUE (tenant_id, run_id);

ALTER TABLE ONLY parley.shop_actions
    ADD CONSTRAINT shop_actions_pkey PRIMARY KEY (tenant_id, key);

ALTER TABLE ONLY parley.spending
    ADD CONSTRAINT spending_pkey PRIMARY KEY (tenant_id, run_id, number);

ALTER TABLE ONLY parley.threads
    ADD CONSTRAINT threads_pkey PRIMARY KEY (thread_id);

ALTER TABLE ONLY parley.threads
    ADD CONSTRAINT threads_tenant_id_thread_id_key UNIQUE (tenant_id, thread_id);

ALTER TABLE ONLY parley.tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (tenant_id, ticket_id);

ALTER TABLE ONLY parley.tool_calls
    ADD CONSTRAINT tool_calls_pkey PRIMARY KEY (tenant_id, call_id);

ALTER TABLE ONLY parley.tool_calls
    ADD CONSTRAINT tool_calls_run_id_position_key UNIQUE (run_id, "position");

ALTER TABLE ONLY parley.turns
    ADD CONSTRAINT turns_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY parley.uploads
    ADD CONSTRAINT uploads_pkey PRIMARY KEY (tenant_id, ingestion_id, ordinal);

CREATE INDEX answers_by_document ON parley.answers USING gin (documents);

CREATE INDEX answers_by_use ON parley.answers USING btree (tenant_id, used_at);

CREATE INDEX approvals_by_run ON parley.approvals USING btree (run_id);

CREATE INDEX approvals_by_time ON parley.approvals USING btree (tenant_id, created_at, approval_id);

CREATE INDEX approvals_due ON parley.approvals USING btree (expires_at) WHERE (status = 'pending'::text);

CREATE UNIQUE INDEX approvals_one_pending ON parley.approvals USING btree (tenant_id, call_id) WHERE (status = 'pending'::text);

CREATE INDEX approvals_pending ON parley.approvals USING btree (tenant_id, created_at, approval_id) WHERE (status = 'pending'::text);

CREATE INDEX audit_by_subject ON parley.audit_log USING btree (tenant_id, subject, seq);

CREATE INDEX chunks_by_digest ON ONLY parley.chunks USING btree (tenant_id, digest);

CREATE INDEX chunks_by_meaning ON ONLY parley.chunks USING hnsw (embedding public.halfvec_ip_ops) WITH (m='16', ef_construction='200');

CREATE INDEX documents_by_label ON parley.documents USING gin (labels);

CREATE INDEX documents_by_writing ON parley.documents USING btree (tenant_id, written);

CREATE INDEX documents_restricted ON parley.documents USING btree (tenant_id) WHERE ((owners <> '{}'::text[]) OR (groups <> '{}'::text[]));

CREATE INDEX engine_changes_in_order ON parley.engine_changes USING btree (tenant_id, engine, change_id);

CREATE INDEX ingestions_by_batch ON parley.ingestions USING btree (tenant_id, batch_id);

CREATE INDEX ingestions_by_uri ON parley.ingestions USING btree (tenant_id, uri);

CREATE INDEX ingestions_parked ON parley.ingestions USING btree (tenant_id, finished_at) WHERE (state = 'parked'::text);

CREATE UNIQUE INDEX keyword_fresh_by_chunk ON parley.keyword_fresh USING btree (tenant_id, chunk_id);

CREATE INDEX messages_by_run ON parley.messages USING btree (run_id);

CREATE INDEX notices_done ON parley.notices USING btree (tenant_id, COALESCE(delivered_at, given_up_at)) WHERE (COALESCE(delivered_at, given_up_at) IS NOT NULL);

CREATE INDEX notices_due ON parley.notices USING btree (next_at) WHERE ((delivered_at IS NULL) AND (given_up_at IS NULL));

CREATE INDEX orders_by_time ON parley.orders USING btree (tenant_id, placed_at DESC, order_id);

CREATE INDEX refunds_by_order ON parley.refunds USING btree (tenant_id, order_id);

CREATE INDEX request_keys_by_run ON parley.request_keys USING btree (run_id);

CREATE INDEX request_keys_by_time ON parley.request_keys USING btree (created_at);

CREATE INDEX runs_by_lease ON parley.runs USING btree (lease_expires_at) WHERE (status = 'running'::text);

CREATE INDEX runs_by_thread ON parley.runs USING btree (thread_id, created_at);

CREATE UNIQUE INDEX runs_one_active ON parley.runs USING btree (thread_id) WHERE (status = 'running'::text);

CREATE INDEX runs_queued ON parley.runs USING btree (thread_id, created_at, run_id) WHERE (status = 'queued'::text);

CREATE INDEX runs_waiting ON parley.runs USING btree (tenant_id) WHERE (status = 'waiting'::text);

CREATE INDEX spending_by_day ON parley.spending USING btree (tenant_id, day);

CREATE INDEX threads_by_update ON parley.threads USING btree (tenant_id, updated_at DESC, thread_id);

CREATE INDEX tickets_by_order ON parley.tickets USING btree (tenant_id, order_id);

CREATE INDEX turns_with_findings ON parley.turns USING btree (created_at) WHERE (findings IS NOT NULL);

CREATE TRIGGER append_only BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE ON parley.audit_log FOR EACH STATEMENT EXECUTE FUNCTION parley.refuse_change();

CREATE TRIGGER documents_change AFTER UPDATE ON parley.documents FOR EACH ROW WHEN ((old.version IS DISTINCT FROM new.version)) EXECUTE FUNCTION parley.note_for_engines();

CREATE TRIGGER documents_come_and_go AFTER INSERT OR DELETE ON parley.documents FOR EACH ROW EXECUTE FUNCTION parley.note_for_engines();

CREATE TRIGGER documents_go AFTER DELETE ON parley.documents FOR EACH ROW EXECUTE FUNCTION parley.forget_answers();

CREATE TRIGGER documents_turn AFTER UPDATE ON parley.documents FOR EACH ROW WHEN ((old.version IS DISTINCT FROM new.version)) EXECUTE FUNCTION parley.forget_answers();

CREATE TRIGGER documents_written BEFORE UPDATE ON parley.documents FOR EACH ROW EXECUTE FUNCTION parley.note_writing();

CREATE TRIGGER forget_keywords AFTER DELETE ON parley.chunks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION parley.forget_keywords();

ALTER TABLE ONLY parley.approval_votes
    ADD CONSTRAINT approval_votes_tenant_id_approval_id_fkey FOREIGN KEY (tenant_id, approval_id) REFERENCES parley.approvals(tenant_id, approval_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.approvals
    ADD CONSTRAINT approvals_tenant_id_call_id_fkey FOREIGN KEY (tenant_id, call_id) REFERENCES parley.tool_calls(tenant_id, call_id) ON DELETE CASCADE;

ALTER TABLE parley.chunks
    ADD CONSTRAINT chunks_tenant_id_document_id_fkey FOREIGN KEY (tenant_id, document_id) REFERENCES parley.documents(tenant_id, document_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.engine_changes
    ADD CONSTRAINT engine_changes_tenant_id_engine_fkey FOREIGN KEY (tenant_id, engine) REFERENCES parley.engine_copies(tenant_id, engine) ON DELETE CASCADE;

ALTER TABLE ONLY parley.messages
    ADD CONSTRAINT messages_tenant_id_run_id_fkey FOREIGN KEY (tenant_id, run_id) REFERENCES parley.runs(tenant_id, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.messages
    ADD CONSTRAINT messages_tenant_id_thread_id_fkey FOREIGN KEY (tenant_id, thread_id) REFERENCES parley.threads(tenant_id, thread_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.order_lines
    ADD CONSTRAINT order_lines_tenant_id_order_id_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES parley.orders(tenant_id, order_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.placeholders
    ADD CONSTRAINT placeholders_tenant_id_thread_id_fkey FOREIGN KEY (tenant_id, thread_id) REFERENCES parley.threads(tenant_id, thread_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.refunds
    ADD CONSTRAINT refunds_tenant_id_order_id_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES parley.orders(tenant_id, order_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.request_keys
    ADD CONSTRAINT request_keys_tenant_id_run_id_fkey FOREIGN KEY (tenant_id, run_id) REFERENCES parley.runs(tenant_id, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.run_events
    ADD CONSTRAINT run_events_tenant_id_run_id_fkey FOREIGN KEY (tenant_id, run_id) REFERENCES parley.runs(tenant_id, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.runs
    ADD CONSTRAINT runs_tenant_id_thread_id_fkey FOREIGN KEY (tenant_id, thread_id) REFERENCES parley.threads(tenant_id, thread_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.tickets
    ADD CONSTRAINT tickets_tenant_id_order_id_fkey FOREIGN KEY (tenant_id, order_id) REFERENCES parley.orders(tenant_id, order_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.tool_calls
    ADD CONSTRAINT tool_calls_tenant_id_run_id_fkey FOREIGN KEY (tenant_id, run_id) REFERENCES parley.runs(tenant_id, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.turns
    ADD CONSTRAINT turns_tenant_id_run_id_fkey FOREIGN KEY (tenant_id, run_id) REFERENCES parley.runs(tenant_id, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY parley.uploads
    ADD CONSTRAINT uploads_tenant_id_ingestion_id_fkey FOREIGN KEY (tenant_id, ingestion_id) REFERENCES parley.ingestions(tenant_id, ingestion_id) ON DELETE CASCADE;

ALTER TABLE parley.answers ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.approval_votes ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.approvals ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.audit_heads ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.audit_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.budget_periods ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.chunks ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.documents ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.engine_changes ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.engine_copies ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.ingestions ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.keyword_fresh ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.keyword_postings ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.keyword_segments ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.keyword_tombstones ENABLE ROW LEVEL SECURITY;

CREATE POLICY list ON parley.audit_heads FOR SELECT TO parley_auditor USING (true);

ALTER TABLE parley.messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.notices ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.order_lines ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.orders ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.placeholders ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.refunds ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.request_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.run_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.runs ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.shop_actions ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.spending ENABLE ROW LEVEL SECURITY;

CREATE POLICY sweep ON parley.approvals TO parley_sweeper USING (true);

CREATE POLICY sweep ON parley.notices TO parley_sweeper USING (true) WITH CHECK (true);

CREATE POLICY sweep ON parley.runs TO parley_sweeper USING (true) WITH CHECK (true);

CREATE POLICY sweep ON parley.turns TO parley_sweeper USING (true) WITH CHECK (true);

CREATE POLICY tenant ON parley.answers USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.approval_votes USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.approvals USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.audit_heads USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.audit_log USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.budget_periods USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.chunks USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.documents USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.engine_changes USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.engine_copies USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.ingestions USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.keyword_fresh USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.keyword_postings USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.keyword_segments USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.keyword_tombstones USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.messages USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.notices USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.order_lines USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.orders USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.placeholders USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.refunds USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.request_keys USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.run_events USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.runs USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.shop_actions USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.spending USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.threads USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.tickets USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.tool_calls USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.turns USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

CREATE POLICY tenant ON parley.uploads USING ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text))) WITH CHECK ((tenant_id = NULLIF(current_setting('parley.tenant'::text, true), ''::text)));

ALTER TABLE parley.threads ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.tickets ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.tool_calls ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.turns ENABLE ROW LEVEL SECURITY;

ALTER TABLE parley.uploads ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA parley TO parley_app;
GRANT USAGE ON SCHEMA parley TO parley_sweeper;
GRANT USAGE ON SCHEMA parley TO parley_auditor;

GRANT USAGE ON SCHEMA reports TO parley_reader;

REVOKE ALL ON FUNCTION parley.approvals_due(most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.approvals_due(most integer) TO parley_app;

REVOKE ALL ON FUNCTION parley.audit(kind text, actor text, subject text, details jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.audit(kind text, actor text, subject text, details jsonb) TO parley_app;

REVOKE ALL ON FUNCTION parley.audit_head() FROM PUBLIC;
GRANT ALL ON FUNCTION parley.audit_head() TO parley_app;

REVOKE ALL ON FUNCTION parley.audit_tenants() FROM PUBLIC;

REVOKE ALL ON FUNCTION parley.claim_queued_runs(worker text, lease_seconds double precision, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.claim_queued_runs(worker text, lease_seconds double precision, most integer) TO parley_app;

REVOKE ALL ON FUNCTION parley.forget_answers() FROM PUBLIC;

REVOKE ALL ON FUNCTION parley.forget_findings(general_days integer, own_days jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.forget_findings(general_days integer, own_days jsonb) TO parley_app;

REVOKE ALL ON FUNCTION parley.note_for_engines() FROM PUBLIC;

REVOKE ALL ON FUNCTION parley.note_writing() FROM PUBLIC;

REVOKE ALL ON FUNCTION parley.protect(target regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION parley.renew_leases(worker text, run_ids uuid[], lease_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.renew_leases(worker text, run_ids uuid[], lease_seconds double precision) TO parley_app;

REVOKE ALL ON FUNCTION parley.share_reached(usd numeric, limit_usd numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.share_reached(usd numeric, limit_usd numeric) TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.runs TO parley_app;
GRANT SELECT ON TABLE parley.runs TO parley_sweeper;

GRANT UPDATE(status) ON TABLE parley.runs TO parley_sweeper;

GRANT UPDATE(attempt) ON TABLE parley.runs TO parley_sweeper;

GRANT UPDATE(lease_owner) ON TABLE parley.runs TO parley_sweeper;

GRANT UPDATE(lease_token) ON TABLE parley.runs TO parley_sweeper;

GRANT UPDATE(lease_expires_at) ON TABLE parley.runs TO parley_sweeper;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.spending TO parley_app;

REVOKE ALL ON FUNCTION parley.spent_since(scope text, subject text, since date) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.spent_since(scope text, subject text, since date) TO parley_app;

REVOKE ALL ON FUNCTION parley.take_notices(seconds double precision, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.take_notices(seconds double precision, most integer) TO parley_app;

REVOKE ALL ON FUNCTION parley.take_over_runs(worker text, lease_seconds double precision, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION parley.take_over_runs(worker text, lease_seconds double precision, most integer) TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.answers TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.approval_votes TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.approvals TO parley_app;

GRANT SELECT(tenant_id) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT(approval_id) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT(status) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT(expires_at) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT(escalates_at) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT(escalated_at) ON TABLE parley.approvals TO parley_sweeper;

GRANT SELECT,INSERT,UPDATE ON TABLE parley.audit_heads TO parley_auditor;

GRANT SELECT ON TABLE parley.audit_log TO parley_app;
GRANT SELECT,INSERT ON TABLE parley.audit_log TO parley_auditor;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.budget_periods TO parley_app;

GRANT USAGE ON SEQUENCE parley.chunk_ids TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.chunks TO parley_app;

GRANT USAGE ON SEQUENCE parley.document_versions TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.documents TO parley_app;

GRANT USAGE ON SEQUENCE parley.engine_change_ids TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.engine_changes TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.engine_copies TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.ingestions TO parley_app;

GRANT USAGE ON SEQUENCE parley.keyword_entries TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.keyword_fresh TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.keyword_postings TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.keyword_segments TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.keyword_tombstones TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.messages TO parley_app;

GRANT SELECT ON TABLE parley.migrations TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.notices TO parley_app;
GRANT SELECT ON TABLE parley.notices TO parley_sweeper;

GRANT UPDATE(attempts) ON TABLE parley.notices TO parley_sweeper;

GRANT UPDATE(next_at) ON TABLE parley.notices TO parley_sweeper;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.order_lines TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.orders TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.placeholders TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.refunds TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.request_keys TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.run_events TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.shop_actions TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.threads TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.tickets TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.tool_calls TO parley_app;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.turns TO parley_app;

GRANT SELECT(tenant_id) ON TABLE parley.turns TO parley_sweeper;

GRANT SELECT(created_at) ON TABLE parley.turns TO parley_sweeper;

GRANT SELECT(findings),UPDATE(findings) ON TABLE parley.turns TO parley_sweeper;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE parley.uploads TO parley_app;

GRANT SELECT ON TABLE reports.order_lines TO parley_reader;

GRANT SELECT ON TABLE reports.orders TO parley_reader;

GRANT SELECT ON TABLE reports.refunds TO parley_reader;

GRANT SELECT ON TABLE reports.tickets TO parley_reader;

CREATE TABLE parley.chunks_0 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 0);
CREATE TABLE parley.chunks_1 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 1);
CREATE TABLE parley.chunks_2 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 2);
CREATE TABLE parley.chunks_3 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 3);
CREATE TABLE parley.chunks_4 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 4);
CREATE TABLE parley.chunks_5 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 5);
CREATE TABLE parley.chunks_6 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 6);
CREATE TABLE parley.chunks_7 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 7);
CREATE TABLE parley.chunks_8 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 8);
CREATE TABLE parley.chunks_9 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 9);
CREATE TABLE parley.chunks_10 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 10);
CREATE TABLE parley.chunks_11 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 11);
CREATE TABLE parley.chunks_12 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 12);
CREATE TABLE parley.chunks_13 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 13);
CREATE TABLE parley.chunks_14 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 14);
CREATE TABLE parley.chunks_15 PARTITION OF parley.chunks FOR VALUES WITH (modulus 16, remainder 15);
