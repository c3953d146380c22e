-- What a vector engine beside Postgres still has to learn.
-- A document is noted here by the transaction that changes it, and crossed off once the engine
-- has it. No cursor over versions: transactions commit in another order than they take numbers.

create table engine_copies (   -- tenants whose vectors an engine holds a copy of
    tenant_id text    not null,
    engine    text    not null,
    noted     boolean not null default false,  -- what was there before the copy began is noted too
    primary key (tenant_id, engine)
);

create sequence engine_change_ids;
create table engine_changes (  -- documents that the engine has not as they are, or has no more
    tenant_id   text   not null,
    engine      text   not null,
    document_id uuid   not null,
    change_id   bigint not null default nextval('engine_change_ids'),
    primary key (tenant_id, engine, document_id),
    foreign key (tenant_id, engine) references engine_copies on delete cascade
);
create index engine_changes_in_order on engine_changes (tenant_id, engine, change_id);

-- Costs one look into an empty table where no engine is used.
create function note_for_engines() returns trigger
language plpgsql set search_path = parley, pg_temp as $$
begin
    insert into engine_changes (tenant_id, engine, document_id)
    select c.tenant_id, c.engine, coalesce(new.document_id, old.document_id)
      from engine_copies c
     where c.tenant_id = coalesce(new.tenant_id, old.tenant_id)
    on conflict (tenant_id, engine, document_id) do update set change_id = excluded.change_id;
    return null;
end
$$;
revoke execute on function note_for_engines() from public;

create trigger documents_come_and_go after insert or delete on documents
    for each row execute function note_for_engines();
create trigger documents_change after update on documents
    for each row when (old.version is distinct from new.version)
    execute function note_for_engines();

select protect('engine_copies');
select protect('engine_changes');
grant usage on sequence engine_change_ids to parley_app;
