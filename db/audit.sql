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
