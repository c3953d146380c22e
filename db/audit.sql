-- append --
-- Appends an entry for the tenant of the transaction.
select audit(%(kind)s, %(actor)s, %(subject)s, %(details)s)

-- entries --
-- Entries above a number, oldest first, with the text that their hash is made of.
select seq, at, kind, actor, subject, details,
       audit_entry(tenant_id, seq, at, kind, actor, subject, details), previous, hash
  from audit_log
 where seq > %(after)s and (%(subject)s::text is null or subject = %(subject)s)
 order by seq limit %(limit)s

-- head --
-- Where the log should end.
select seq, hash from audit_head()

-- snapshot --
-- Everything in this transaction sees the log at one moment.
set transaction isolation level repeatable read read only

-- tenant --
-- Whose log this transaction reads.
select set_config('parley.tenant', %(tenant_id)s, true)

-- tenants --
-- Whose logs there are.
select * from parley.audit_tenants()
