-- restricted --
-- Tells whether a tenant has a document that not everyone of it may read.
select exists (select from documents
                where tenant_id = %(tenant_id)s and (owners <> '{}' or groups <> '{}'))

-- passages --
-- Returns chunks by id, with their documents and how near they are to the question. Written as
-- look-ups one after the other: a join plans to read all documents.
select c.chunk_id, d.document_id::text, d.uri, d.title, c.section, c.page, c.ordinal, c.text,
       c.tokens, coalesce(d.modified_at, d.updated_at) as modified_at,
       -(c.embedding <#> %(vector)s) as cosine, c.late
  from unnest(%(chunk_ids)s::bigint[]) a (chunk_id),
       lateral (select * from chunks
                 where tenant_id = %(tenant_id)s and chunk_id = a.chunk_id
                offset 0) c,
       lateral (select * from documents
                 where tenant_id = %(tenant_id)s and document_id = c.document_id
                offset 0) d
 where readable(d.owners, d.groups, %(reader)s, %(member_of)s)
