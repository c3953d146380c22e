-- put --
-- Inserts a document that knows nothing but its place.
insert into documents (tenant_id, uri, title, media_type, content_sha256, embedding_model, bytes,
                       chunks)
values (%(tenant_id)s, %(uri)s, %(title)s, 'text/plain', '', 'bench', 0, %(chunks)s)
returning document_id

-- add --
-- Inserts one chunk.
insert into chunks (tenant_id, document_id, ordinal, text, tokens, embedding, late)
values (%(tenant_id)s, %(document_id)s, %(ordinal)s, %(text)s, %(tokens)s,
        %(embedding)s::vector::halfvec(384), %(late)s)
returning chunk_id

-- processes --
-- Lists the processes of this server that are ours to see.
select pid from pg_stat_activity where pid is not null
