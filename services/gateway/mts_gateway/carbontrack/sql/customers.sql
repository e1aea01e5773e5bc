-- Customers as this API shows them.

-- name: find_customers
-- A page of the customers of distributors $1 with the number of all that match; a row without a customer when it is empty.
WITH matching AS NOT MATERIALIZED (
    SELECT *
    FROM gateway.customer
    WHERE distributor_id = ANY ($1::uuid[])
        AND ($2::text IS NULL OR lower(account_number) = lower($2))
        AND ($3::text IS NULL OR ($3 <> '' AND EXISTS (
            SELECT FROM unnest(ARRAY[mobile, day_time_contact, work_contact]) AS number
            WHERE strpos(regexp_replace(number, '[^0-9]', '', 'g'), $3) > 0
        )))
        AND ($4::text IS NULL OR strpos(lower(location), lower($4)) > 0)
)
SELECT counted.total, page.*, linked.user_id, linked.user_name AS login_name, ARRAY(
    SELECT device_id
    FROM gateway.device
    WHERE device.customer_id = page.customer_id
    ORDER BY device_id COLLATE "C"
) AS devices
FROM (SELECT count(*) AS total FROM matching) AS counted
LEFT JOIN (
    SELECT * FROM matching ORDER BY account_number COLLATE "C", customer_id LIMIT $5 OFFSET $6
) AS page ON true
LEFT JOIN gateway.api_user AS linked
    ON lower(linked.user_name) = lower(page.user_name) AND linked.distributor_id = page.distributor_id
ORDER BY page.account_number COLLATE "C", page.customer_id
