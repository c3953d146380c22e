-- usable --
-- Says whether an engine's copy of a tenant is complete but for a few chunks, and worth asking.
select e.noted
       and (select count(*) > %(small)s
              from (select from chunks where tenant_id = %(tenant_id)s limit %(small)s + 1) c)
       and (select count(*) <= %(late)s
              from (select from engine_changes w
                      left join chunks c using (tenant_id, document_id)
                     where w.tenant_id = %(tenant_id)s and w.engine = %(engine)s
                     limit %(late)s + 1) c)
  from engine_copies e
 where e.tenant_id = %(tenant_id)s and e.engine = %(engine)s

-- late --
-- Returns the nearest of the chunks that the engine has not as they are, by comparing all of them.
select c.chunk_id, -(c.embedding <#> %(vector)s) as cosine
  from engine_changes w
  join documents d using (tenant_id, document_id)
  join chunks c using (tenant_id, document_id)
 where w.tenant_id = %(tenant_id)s and w.engine = %(engine)s
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
   and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
 order by (c.embedding <#> %(vector)s) + 0, c.chunk_id
 limit %(limit)s

-- sure --
-- Returns which of these chunks there are and may be seen, with how near they are.
select c.chunk_id, -(c.embedding <#> %(vector)s) as cosine
  from chunks c
  join documents d using (tenant_id, document_id)
 where c.tenant_id = %(tenant_id)s and c.chunk_id = any(%(chunk_ids)s)
   and readable(d.owners, d.groups, %(reader)s, %(member_of)s)
   and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)
