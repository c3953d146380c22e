-- now --
-- Tells the time of the database.
select clock_timestamp()
