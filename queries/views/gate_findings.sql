-- What the gates found, counted. One row per campaign, plugin, path, role, gate and
-- verdict, with the first run of which it is true.
with

checks as (
    select
        campaign,
        plugin,
        path,
        role,
        started_at,
        block,
        cell,
        unnest(gates) as entry,
    from measurements
)

select
    campaign,
    plugin,
    path,
    role,
    entry.gate as gate,
    entry.verdict as verdict,
    count(*) as findings,
    arg_min(
        {
            'started_at': started_at,
            'block': block,
            'cell': cell,
            'evidence': entry.evidence,
        },
        (started_at, block, cell)
    ) as example,
from checks
group by all
