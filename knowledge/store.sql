-- put --
-- Inserts a document or replaces what is known about its uri; the id stays, the version is new.
-- Names that are null stay as they are: nobody is let in by not being told.
insert into documents as d (tenant_id, uri, title, media_type, content_sha256, embedding_model,
                            metadata, language, author, chunks, tokens, bytes, modified_at,
                            owners, groups, labels)
values (%(tenant_id)s, %(uri)s, %(title)s, %(media_type)s, %(content_sha256)s, %(embedding_model)s,
        %(metadata)s, %(language)s, %(author)s, %(chunks)s, %(tokens)s, %(bytes)s, %(modified_at)s,
        coalesce(%(owners)s::text[], '{}'), coalesce(%(groups)s::text[], '{}'),
        coalesce(%(labels)s::text[], '{}'))
on conflict (tenant_id, uri) do update
   set title = excluded.title, media_type = excluded.media_type,
       content_sha256 = excluded.content_sha256, embedding_model = excluded.embedding_model,
       metadata = excluded.metadata, language = excluded.language, author = excluded.author,
       chunks = excluded.chunks, tokens = excluded.tokens, bytes = excluded.bytes,
       modified_at = excluded.modified_at,
       owners = coalesce(%(owners)s::text[], d.owners),
       groups = coalesce(%(groups)s::text[], d.groups),
       labels = coalesce(%(labels)s::text[], d.labels),
       version = nextval('document_versions'), updated_at = now()
returning document_id

-- stored_chunks --
-- Returns the chunks of a document, in order; one without digest is from before there were any.
select chunk_id, digest, ordinal, section, page, text, tokens, late is null
  from chunks
 where tenant_id = %(tenant_id)s and document_id = %(document_id)s
 order by ordinal

-- drop_chunks --
-- Deletes chunks that are not in the document any more.
delete from chunks where tenant_id = %(tenant_id)s and chunk_id = any(%(chunk_ids)s)

-- set_aside --
-- Frees the places of chunks that move: two of a document may not share one for a moment.
update chunks set ordinal = -1 - ordinal
 where tenant_id = %(tenant_id)s and chunk_id = any(%(chunk_ids)s)

-- move_chunks --
-- Puts chunks that are still the same where they belong now.
update chunks c
   set ordinal = m.ordinal, text = m.text, section = m.section, page = m.page, tokens = m.tokens,
       late = coalesce(c.late, m.late)
  from unnest(%(chunk_ids)s::bigint[], %(ordinals)s::integer[], %(texts)s::text[],
              %(sections)s::text[], %(pages)s::integer[], %(tokens)s::integer[],
              %(lates)s::bytea[]) m (chunk_id, ordinal, text, section, page, tokens, late)
 where c.tenant_id = %(tenant_id)s and c.chunk_id = m.chunk_id

-- add_chunks --
-- Inserts chunks of a document from one array per column.
insert into chunks (tenant_id, document_id, ordinal, text, section, page, tokens, embedding,
                    digest, late)
select %(tenant_id)s, %(document_id)s, c.*
  from unnest(%(ordinals)s::integer[], %(texts)s::text[], %(sections)s::text[],
              %(pages)s::integer[], %(tokens)s::integer[], %(embeddings)s::halfvec[],
              %(digests)s::bytea[], %(lates)s::bytea[]) c
returning chunk_id

-- vectors --
-- Returns one stored vector for each digest that the tenant has, whatever document it is in.
select distinct on (digest) digest, embedding, late from chunks
 where tenant_id = %(tenant_id)s and digest = any(%(digests)s)
 order by digest, late is null

-- remove --
-- Deletes the document of a uri, and with it all that was made of it.
delete from documents where tenant_id = %(tenant_id)s and uri = %(uri)s

-- remove_under --
-- Deletes the documents whose uri begins with a prefix.
delete from documents
 where tenant_id = %(tenant_id)s and starts_with(uri, %(prefix)s)
returning uri

-- set_access --
-- Changes who may read a document, or all documents of a folder or a file of many.
-- What carries these names already keeps its version.
update documents
   set owners = coalesce(%(owners)s::text[], owners),
       groups = coalesce(%(groups)s::text[], groups),
       labels = coalesce(%(labels)s::text[], labels),
       version = nextval('document_versions'), updated_at = now()
 where tenant_id = %(tenant_id)s
   and (uri = %(uri)s or starts_with(uri, rtrim(%(uri)s, '/') || '/')
        or starts_with(uri, %(uri)s || '#'))
   and (coalesce(%(owners)s::text[], owners), coalesce(%(groups)s::text[], groups),
        coalesce(%(labels)s::text[], labels)) is distinct from (owners, groups, labels)
returning uri

-- known --
-- Lists what is stored under a prefix.
select uri, content_sha256, embedding_model, owners, groups, labels from documents
 where tenant_id = %(tenant_id)s and starts_with(uri, %(prefix)s)
