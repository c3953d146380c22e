-- noted --
-- Tells whether an engine has a copy of this tenant, and whether all documents were noted for it.
select noted from engine_copies where tenant_id = %(tenant_id)s and engine = %(engine)s

-- pause_writers --
-- Waits until nobody is changing documents, and lets nobody begin before this transaction ends.
lock table documents in share row exclusive mode

-- begin --
-- Has every change of a tenant's documents noted from now on.
insert into engine_copies (tenant_id, engine) values (%(tenant_id)s, %(engine)s)
on conflict do nothing

-- note_all --
-- Notes every document of a tenant.
insert into engine_changes (tenant_id, engine, document_id)
select tenant_id, %(engine)s, document_id from documents where tenant_id = %(tenant_id)s
on conflict do nothing

-- all_noted --
-- Remembers that every document has been noted.
update engine_copies set noted = true where tenant_id = %(tenant_id)s and engine = %(engine)s

-- forget --
-- Ends the copy of a tenant.
delete from engine_copies where tenant_id = %(tenant_id)s and engine = %(engine)s

-- one_at_a_time --
-- Lets one process at a time tell an engine about a tenant, until the end of the transaction.
select pg_advisory_xact_lock(hashtextextended(%(engine)s || ' ' || %(tenant_id)s, 15))

-- changes --
-- Returns documents that the engine has to be told of, those that wait longest first.
select document_id, change_id from engine_changes
 where tenant_id = %(tenant_id)s and engine = %(engine)s
 order by change_id
 limit %(limit)s

-- chunks --
-- Returns a page of the chunks of documents, with what filters ask for.
select c.chunk_id, c.embedding, d.document_id, d.uri, d.owners, d.groups, d.labels
  from chunks c
  join documents d using (tenant_id, document_id)
 where c.tenant_id = %(tenant_id)s and c.document_id = any(%(document_ids)s)
   and c.chunk_id > %(after)s
 order by c.chunk_id
 limit %(limit)s

-- cross_off --
-- Forgets changes that the engine was told of, unless the document changed again.
delete from engine_changes w
 using unnest(%(document_ids)s::uuid[], %(change_ids)s::bigint[]) t(document_id, change_id)
 where w.tenant_id = %(tenant_id)s and w.engine = %(engine)s
   and w.document_id = t.document_id and w.change_id = t.change_id

-- expected --
-- Tells whether something is still to be told, and how many chunks the engine should hold.
select exists (select from engine_changes
                where tenant_id = %(tenant_id)s and engine = %(engine)s),
       (select coalesce(sum(chunks), 0)::bigint from documents where tenant_id = %(tenant_id)s)
