-- How does the CRM share of sales depend on the window?
-- CRM 销售占比随归因窗口如何变化？
-- Net sales of orders within 1, 3, 7 and 14 days after a message was sent to the customer, as a share of all. It grows with the window,
-- whatever messages do: fix one window and watch it over time; what is caused is question 12.
SELECT 1 AS days, toFloat64(crm_net) AS crm_net, crm_orders, round(crm_share, 4) AS share FROM recur.v_crm_gmv(days = 1)
UNION ALL
SELECT 3 AS days, toFloat64(crm_net) AS crm_net, crm_orders, round(crm_share, 4) AS share FROM recur.v_crm_gmv(days = 3)
UNION ALL
SELECT 7 AS days, toFloat64(crm_net) AS crm_net, crm_orders, round(crm_share, 4) AS share FROM recur.v_crm_gmv(days = 7)
UNION ALL
SELECT 14 AS days, toFloat64(crm_net) AS crm_net, crm_orders, round(crm_share, 4) AS share FROM recur.v_crm_gmv(days = 14)
ORDER BY days
