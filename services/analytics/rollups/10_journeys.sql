SELECT journey_id, enrolled, converted, exited, refused, conversion_rate FROM recur.v_journeys
