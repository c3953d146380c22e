-- put --
-- Inserts a document or replaces what is known about its uri; the id stays.
insert into documents (tenant_id, uri, title, media_type, content_sha256, embedding_model,
                       metadata, language, author, chunks, tokens, bytes)
values (%(tenant_id)s, %(uri)s, %(title)s, %(media_type)s, %(content_sha256)s, %(embedding_model)s,
        %(metadata)s, %(language)s, %(author)s, %(chunks)s, %(tokens)s, %(bytes)s)
on conflict (tenant_id, uri) do update
   set title = excluded.title, media_type = excluded.media_type,
       content_sha256 = excluded.content_sha256, embedding_model = excluded.embedding_model,
       metadata = excluded.metadata, language = excluded.language, author = excluded.author,
       chunks = excluded.chunks, tokens = excluded.tokens, words = 0, bytes = excluded.bytes,
       updated_at = now()
returning document_id

-- drop_chunks --
-- Deletes the chunks of a document.
delete from chunks where tenant_id = %(tenant_id)s and document_id = %(document_id)s

-- add_chunks --
-- Inserts the chunks of a document from one array per column.
insert into chunks (tenant_id, document_id, ordinal, text, section, page, tokens, embedding)
select %(tenant_id)s, %(document_id)s, c.*
  from unnest(%(ordinals)s::integer[], %(texts)s::text[], %(sections)s::text[],
              %(pages)s::integer[], %(tokens)s::integer[], %(embeddings)s::halfvec[]) c

-- remove --
-- Deletes the document of a uri, and with it all that was made of it.
delete from documents where tenant_id = %(tenant_id)s and uri = %(uri)s

-- remove_under --
-- Deletes the documents whose uri begins with a prefix.
delete from documents
 where tenant_id = %(tenant_id)s and starts_with(uri, %(prefix)s)
returning uri

-- known --
-- Lists what is stored under a prefix: uri, hash of the content, model of its vectors.
select uri, content_sha256, embedding_model from documents
 where tenant_id = %(tenant_id)s and starts_with(uri, %(prefix)s)
