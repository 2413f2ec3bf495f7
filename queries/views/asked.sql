-- What was planned to be compared. One row per campaign, cell, plugin and profile;
-- reference runs are no part of it.
select
    campaign,
    path,
    traffic,
    cell,
    plugin,
    profile,
    count(*) as blocks_planned,
    any_value(unsupported_reason) as unsupported_reason,
from planned
where role = 'cell'
group by all
