-- without_index --
-- Drops the index of vectors: building it afterwards is several times faster.
drop index chunks_by_meaning

-- with_index --
-- Builds the index of vectors as the migrations have it.
create index chunks_by_meaning on chunks
    using hnsw (embedding halfvec_ip_ops) with (m = 16, ef_construction = 200)

-- documents --
-- Takes documents.
copy documents (tenant_id, document_id, uri, title, media_type, content_sha256, embedding_model,
                chunks, tokens, bytes, labels) from stdin (format binary)

-- chunks --
-- Takes chunks.
copy chunks (tenant_id, document_id, chunk_id, ordinal, text, tokens, embedding, late)
    from stdin (format binary)

-- analyze --
-- Lets the planner know what is there.
vacuum analyze documents, chunks, keyword_fresh, keyword_segments, keyword_postings

-- pgvector --
-- What pgvector's manual shows.
select chunk_id from chunks order by embedding <#> %(vector)s limit %(limit)s

-- pgvector_filtered --
-- The same with a condition.
select c.chunk_id from chunks c join documents d using (tenant_id, document_id)
 where d.labels @> %(labels)s
 order by c.embedding <#> %(vector)s limit %(limit)s
