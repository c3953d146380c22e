-- stored_since --
-- Counts what was stored of a file since a moment: new and changed documents, chunks and tokens.
select count(*) filter (where created_at >= %(began_at)s),
       count(*) filter (where created_at < %(began_at)s),
       coalesce(sum(chunks), 0)::bigint,
       coalesce(sum(tokens), 0)::bigint
  from documents
 where tenant_id = %(tenant_id)s and (uri = %(uri)s or starts_with(uri, %(lines)s))
   and updated_at >= %(began_at)s
