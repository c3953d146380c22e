-- orders --
-- Ten orders of the last months; those that are there already stay as they are.
insert into orders (tenant_id, order_id, customer, status, address,
                    placed_at, shipped_at, delivered_at, cancelled_at, cancel_reason)
select %(tenant_id)s, order_id, customer, status, address,
       now() - make_interval(days => placed),
       now() - make_interval(days => shipped),
       now() - make_interval(days => delivered),
       now() - make_interval(days => cancelled), reason
  from (values
        ('A-1001', 'Ada Bianchi',    'delivered', 'Via Roma 12, 20121 Milano',       60, 58, 55, null::int, null::text),
        ('A-1002', 'Bruno Keller',   'delivered', 'Hauptstraße 5, 10827 Berlin',     45, 43, 40, null, null),
        ('A-1003', 'Chloé Martin',   'cancelled', '8 rue des Lilas, 69003 Lyon',     38, null::int, null::int, 37, 'ordered twice'),
        ('A-1004', 'Ada Bianchi',    'delivered', 'Via Roma 12, 20121 Milano',       30, 28, 26, null, null),
        ('A-1005', 'Deniz Yılmaz',   'shipped',   'Moda Caddesi 21, 34710 İstanbul', 9,  6,  null, null, null),
        ('A-1006', 'Emil Novák',     'shipped',   'Dlouhá 33, 110 00 Praha',         7,  5,  null, null, null),
        ('A-1007', 'Fatima Haddad',  'placed',    'Calle Mayor 4, 28013 Madrid',     3,  null, null, null, null),
        ('A-1008', 'Bruno Keller',   'placed',    'Hauptstraße 5, 10827 Berlin',     2,  null, null, null, null),
        ('A-1009', 'Grace Okafor',   'placed',    '14 Marine Road, Lagos',           1,  null, null, null, null),
        ('A-1010', 'Chloé Martin',   'placed',    '8 rue des Lilas, 69003 Lyon',     0,  null, null, null, null)
       ) v (order_id, customer, status, address, placed, shipped, delivered, cancelled, reason)
on conflict do nothing

-- lines --
-- What they consist of.
insert into order_lines (tenant_id, order_id, line, article, quantity, unit_cents)
select %(tenant_id)s, order_id, line, article, quantity, unit_cents
  from (values
        ('A-1001', 1, 'Desk lamp',        1,  4990),
        ('A-1001', 2, 'LED bulb',         4,   690),
        ('A-1002', 1, 'Office chair',     1, 18900),
        ('A-1003', 1, 'Bookshelf',        1,  7950),
        ('A-1004', 1, 'Standing desk',    1, 44900),
        ('A-1004', 2, 'Cable tray',       2,  1490),
        ('A-1005', 1, 'Desk lamp',        2,  4990),
        ('A-1006', 1, 'Monitor arm',      1,  8990),
        ('A-1007', 1, 'Office chair',     2, 18900),
        ('A-1007', 2, 'Floor mat',        2,  2990),
        ('A-1008', 1, 'LED bulb',        10,   690),
        ('A-1009', 1, 'Bookshelf',        3,  7950),
        ('A-1010', 1, 'Standing desk',    1, 44900)
       ) v (order_id, line, article, quantity, unit_cents)
on conflict do nothing

-- refunds --
-- One refund and one ticket, where there were none.
insert into refunds (tenant_id, order_id, cents, reason, refunded_by)
select %(tenant_id)s, 'A-1002', 2000, 'scratched armrest', 'sample'
 where not exists (select from refunds where tenant_id = %(tenant_id)s and order_id = 'A-1002')

-- tickets --
-- See above.
insert into tickets (tenant_id, order_id, subject, body, opened_by)
select %(tenant_id)s, 'A-1005', 'Parcel has not moved for four days',
       'The customer asks where order A-1005 is.', 'sample'
 where not exists (select from tickets where tenant_id = %(tenant_id)s and order_id = 'A-1005')
