-- entries --
-- Lists documents under a prefix, by uri.
select uri, title, media_type, chunks, tokens, updated_at from documents
 where tenant_id = %(tenant_id)s and starts_with(uri, %(prefix)s)
 order by uri
 limit %(limit)s

-- size --
-- Counts documents and chunks.
select count(*)::integer, coalesce(sum(chunks), 0)::integer from documents
 where tenant_id = %(tenant_id)s
