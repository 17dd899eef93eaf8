-- Which messages did a customer get or not get, and why?
-- 某位客户收到了或没收到哪些消息，原因是什么？
-- Everything journeys asked for and messaging decided about one customer, newest first: send, defer or drop with the reason, and what
-- became of what was sent. Take the id from the profile service; an id from before a merge is found as well.
-- param customer_id = nobody
WITH ids AS
(
    SELECT customer_id FROM recur.v_customer_map WHERE current_id = {customer_id:String} OR current_id = (SELECT any(current_id) FROM recur.v_customer_map WHERE customer_id = {customer_id:String})
    UNION ALL SELECT {customer_id:String}
    UNION ALL SELECT current_id FROM recur.v_customer_map WHERE customer_id = {customer_id:String}
)
SELECT d.log_time AS decided_at, d.journey_id AS journey, d.node_id AS node, d.channel AS channel, d.purpose AS purpose, d.outcome AS outcome, d.reason AS reason,
    m.template_id AS template, m.status AS became, m.sent_at AS sent_at, m.opened = 1 AS opened, m.clicked = 1 AS clicked
FROM (SELECT * FROM recur.decisions WHERE customer_id IN (SELECT customer_id FROM ids)) AS d
LEFT ANY JOIN recur.v_messages AS m ON m.idempotency_key = d.idempotency_key
ORDER BY decided_at DESC, journey, node
