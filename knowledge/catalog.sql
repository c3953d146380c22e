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

-- page --
-- Lists the documents that somebody may read, by uri, beginning after one.
select document_id, uri, title, media_type, language, author, chunks, tokens, bytes,
       owners, groups, labels, modified_at, created_at, updated_at
  from documents d
 where tenant_id = %(tenant_id)s and uri > %(after)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s) and d.labels @> %(labels)s::text[]
   and starts_with(d.uri, %(under)s)
 order by uri
 limit %(limit)s

-- get --
-- One document, if somebody may read it.
select document_id, uri, title, media_type, language, author, chunks, tokens, bytes,
       owners, groups, labels, modified_at, created_at, updated_at
  from documents d
 where tenant_id = %(tenant_id)s and document_id = %(document_id)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)

-- find --
-- The document of a uri, if somebody may read it.
select document_id from documents d
 where tenant_id = %(tenant_id)s and uri = %(uri)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
