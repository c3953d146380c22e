-- Finished answers, to be given again to who asks the same, as long as nothing has changed.

-- Which transaction wrote a document last. A snapshot says exactly which transactions it cannot
-- have seen; a time or a sequence does not, because they commit in another order.
alter table documents add column written xid8 not null default pg_current_xact_id();
create index documents_by_writing on documents (tenant_id, written);
create index documents_restricted on documents (tenant_id) where owners <> '{}' or groups <> '{}';

create function note_writing() returns trigger language plpgsql as $$
begin
    new.written := pg_current_xact_id();
    return new;
end
$$;
revoke execute on function note_writing() from public;
create trigger documents_written before update on documents
    for each row execute function note_writing();

-- Unlogged: losing it costs a second search, and transaction numbers mean nothing elsewhere.
create unlogged table answers (
    tenant_id   text         not null,
    answer_id   uuid         not null default gen_random_uuid(),
    policy      bytea        not null,  -- sha256 of what shapes an answer besides its documents
    key         bytea        not null,  -- sha256 of the question, however it was typed
    reader      text,                   -- whom it was made for; null: who may read everything
    member_of   text[]       not null,
    question    text         not null,
    embedding   halfvec(384) not null,  -- of the question
    turn        jsonb        not null,  -- what the next turn takes over
    documents   uuid[]       not null,  -- of all passages of the prompt, cited or not
    versions    bigint[]     not null,  -- theirs, when they were read
    nearest     real         not null,  -- a new chunk as near to the question would be a source
    horizon     xid8         not null,  -- what was written before it, the search has seen
    hits        integer      not null default 0,
    created_at  timestamptz  not null default now(),
    used_at     timestamptz  not null default now(),
    expires_at  timestamptz  not null,
    primary key (tenant_id, answer_id),
    unique nulls not distinct (tenant_id, policy, key, reader)
) with (fillfactor = 80);
create index answers_by_use on answers (tenant_id, used_at);
create index answers_by_document on answers using gin (documents);

select protect('answers');

-- Lookups compare versions themselves; this leaves no text behind of what was deleted.
-- It steps over rows that somebody holds: waiting here could end in a deadlock.
create function forget_answers() returns trigger
language plpgsql set search_path = parley, pg_temp as $$
begin
    delete from answers
     where (tenant_id, answer_id) in (
               select a.tenant_id, a.answer_id from answers a
                where a.tenant_id = old.tenant_id and a.documents @> array[old.document_id]
                  for update skip locked);
    return null;
end
$$;
revoke execute on function forget_answers() from public;
create trigger documents_go after delete on documents
    for each row execute function forget_answers();
create trigger documents_turn after update on documents
    for each row when (old.version is distinct from new.version)
    execute function forget_answers();
