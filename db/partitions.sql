-- partitions --
-- The partitions of our tables, and a statement that makes each; indexes follow by themselves.
select c.oid::regclass::text,
       format('CREATE TABLE %s PARTITION OF %s %s', c.oid::regclass, i.inhparent::regclass,
              pg_get_expr(c.relpartbound, c.oid))
  from pg_class c
  join pg_inherits i on i.inhrelid = c.oid
 where c.relispartition and c.relkind = 'r' and c.relnamespace = 'parley'::regnamespace
 order by length(c.relname), c.relname
