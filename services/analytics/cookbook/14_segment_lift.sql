-- Which segments buy more than the average?
-- 哪些人群的转化高于平均？
-- Share of members who have ordered, over the share of all customers who have. An audience for hiking gear has reached 3.6. A segment
-- defined by orders has a lift by definition: compare those that are not.
SELECT segment_id, members, round(conversion, 4) AS conversion, round(average_conversion, 4) AS average, round(lift, 2) AS lift
FROM recur.v_segment_lift
ORDER BY lift DESC, segment_id
