-- few --
-- Tells whether a tenant has at most so many chunks; counts no further.
select count(*) <= %(most)s
  from (select from chunks where tenant_id = %(tenant_id)s limit %(most)s + 1) c

-- tune --
-- Sets how thoroughly the index is searched, for this transaction only.
select set_config('hnsw.ef_search', %(ef_search)s::text, true),
       set_config('hnsw.iterative_scan', 'relaxed_order', true)

-- nearest --
-- Returns the chunks nearest in meaning by the index: nearly all of the true ones.
select chunk_id, -(embedding <#> %(vector)s) as cosine from chunks
 where tenant_id = %(tenant_id)s
 order by embedding <#> %(vector)s
 limit %(limit)s

-- nearest_exact --
-- Returns the chunks nearest in meaning by comparing all; adding 0 keeps the index away.
select chunk_id, -(embedding <#> %(vector)s) as cosine from chunks
 where tenant_id = %(tenant_id)s
 order by (embedding <#> %(vector)s) + 0, chunk_id
 limit %(limit)s

-- passages --
-- Returns chunks by id, with their documents and how near they are to the question.
select c.chunk_id, d.document_id::text, d.uri, d.title, c.section, c.page, c.ordinal, c.text,
       c.tokens, -(c.embedding <#> %(vector)s) as cosine
  from chunks c join documents d using (tenant_id, document_id)
 where c.tenant_id = %(tenant_id)s and c.chunk_id = any(%(chunk_ids)s)
