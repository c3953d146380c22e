-- tell --
-- What the outside is to be told; whoever sends it is woken at the commit.
insert into notices (tenant_id, kind, body) values (%(tenant_id)s, %(kind)s, %(body)s)
returning pg_notify('notices', '')

-- take --
-- Notices that are due, across tenants, taken for a while.
select tenant_id, notice_id, kind, body, attempts, created_at from take_notices(%(seconds)s, %(most)s)

-- delivered --
-- It has arrived.
update notices set delivered_at = now(), error = ''
 where notice_id = %(notice_id)s and delivered_at is null

-- again --
-- It has not; later perhaps.
update notices set next_at = now() + make_interval(secs => %(seconds)s), error = %(why)s
 where notice_id = %(notice_id)s and delivered_at is null

-- give_up --
-- It has not, for too long.
update notices set given_up_at = now(), error = %(why)s
 where notice_id = %(notice_id)s and delivered_at is null

-- prune --
-- Removes some of the tenant's notices that are over for a week.
delete from notices
 where notice_id in (
           select notice_id from notices
            where coalesce(delivered_at, given_up_at) < now() - interval '7 days'
            limit 20 for update skip locked)

-- drop --
-- Forgets a notice.
delete from notices where notice_id = %(notice_id)s
