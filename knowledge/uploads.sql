-- put_piece --
-- Stores a piece of an upload.
insert into uploads (tenant_id, ingestion_id, ordinal, content)
values (%(tenant_id)s, %(ingestion_id)s, %(ordinal)s, %(content)b)

-- piece --
-- A piece of an upload.
select content from uploads
 where tenant_id = %(tenant_id)s and ingestion_id = %(ingestion_id)s and ordinal = %(ordinal)s
