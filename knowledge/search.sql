-- restricted --
-- Tells whether a tenant has a document that not everyone of it may read.
select exists (select from documents
                where tenant_id = %(tenant_id)s and (owners <> '{}' or groups <> '{}'))

-- passages --
-- Returns chunks by id, with their documents and how near they are to the question.
select c.chunk_id, d.document_id::text, d.uri, d.title, c.section, c.page, c.ordinal, c.text,
       c.tokens, coalesce(d.modified_at, d.updated_at) as modified_at,
       -(c.embedding <#> %(vector)s) as cosine, c.late
  from chunks c join documents d using (tenant_id, document_id)
 where c.tenant_id = %(tenant_id)s and c.chunk_id = any(%(chunk_ids)s)
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
