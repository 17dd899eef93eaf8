-- How many new customers are really old ones?
-- “新客”中有多少其实是老客？
-- Customers created in a month, and those who turned out to be somebody there was before. About 40 % has been seen where shops did not
-- know of each other; money spent on winning them was spent on customers there were.
SELECT month, new_customers, really_old, round(share, 4) AS share
FROM recur.v_new_who_are_old
ORDER BY month
