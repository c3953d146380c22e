-- held --
-- Counts what is stored of documents, and lists the chunks whose words are not fresh.
select d.uri, d.content_sha256, d.chunks as own_chunks, d.tokens as own_tokens, count(c.chunk_id) as chunks,
       coalesce(sum(c.tokens), 0) as tokens,
       coalesce(array_agg(c.chunk_id) filter (where c.chunk_id is not null and k.chunk_id is null),
                '{}') as not_fresh
  from documents d
  left join chunks c using (tenant_id, document_id)
  left join keyword_fresh k using (tenant_id, chunk_id)
 where d.tenant_id = %(tenant_id)s and d.uri = any(%(uris)s)
 group by d.tenant_id, d.document_id

-- segments --
-- Returns who is in the segments of the keyword index.
select chunks, ids from keyword_segments where tenant_id = %(tenant_id)s
