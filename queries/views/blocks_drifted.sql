-- Installs between whose two references the machine changed by more than the campaign's
-- limit, whether the block ended well or not. One row per campaign, block and install.
with

limits as (
    select
        campaign,
        (
            try_cast(document as json) ->> '$.matrix.limits.drift_percent_max'
        )::double as drift_percent_max,
    from campaigns
)

select campaign, block, install_id,
from blocks
left join limits using (campaign)
where
    status = 'drifted'
    -- A block that failed says so in its status; it may have drifted as well.
    or abs(drift_ratio - 1) * 100 > drift_percent_max
