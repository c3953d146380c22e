-- tune --
-- Sets how thoroughly the index is searched, for this transaction only.
select set_config('hnsw.ef_search', %(ef_search)s::text, true),
       set_config('hnsw.iterative_scan', 'relaxed_order', true)

-- small --
-- Tells whether a filter leaves at most so many chunks of a tenant; looks no further. Without a
-- filter the segments of the keyword index know that a tenant is large, which is ten times faster.
select case when %(everything)s
             and (select sum(alive) from keyword_segments where tenant_id = %(tenant_id)s) > %(most)s
            then false
            else (select coalesce(sum(chunks), 0) <= %(most)s and count(*) <= %(documents)s
                    from (select chunks from documents d
                           where d.tenant_id = %(tenant_id)s
                             and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
                             and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
                           limit %(documents)s + 1) d)
       end

-- all_by_index --
-- Returns the chunks nearest in meaning by the index: nearly all of the true ones.
select chunk_id, -(embedding <#> %(vector)s) as cosine from chunks
 where tenant_id = %(tenant_id)s
 order by embedding <#> %(vector)s
 limit %(limit)s

-- some_by_index --
-- The same of those that a filter leaves; the scan goes on until there are enough.
select c.chunk_id, -(c.embedding <#> %(vector)s) as cosine
  from chunks c
 where c.tenant_id = %(tenant_id)s
   and exists (select from documents d
                where d.tenant_id = c.tenant_id and d.document_id = c.document_id
                  and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
                  and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
                offset 0)
 order by c.embedding <#> %(vector)s
 limit %(limit)s

-- exact --
-- Returns the chunks nearest in meaning by comparing all; adding 0 keeps the index away.
select c.chunk_id, -(c.embedding <#> %(vector)s) as cosine
  from documents d join chunks c using (tenant_id, document_id)
 where d.tenant_id = %(tenant_id)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
   and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
 order by (c.embedding <#> %(vector)s) + 0, c.chunk_id
 limit %(limit)s
