-- Which plugin, with which profile, moves the most over each path?
with

candidates_asked as (
    select *
    from asked
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

measured as (
    select
        campaign,
        cell,
        plugin,
        profile,
        count(*) as blocks,
        any_value(metric) as metric,
        median(rate) as rate_median,
        min(rate) as rate_min,
        max(rate) as rate_max,
        min(environment)
            != max(environment) as environments_differ,
    from comparable
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
),

candidates as (
    select
        candidates_asked.*,
        measured.* exclude (campaign, cell, plugin, profile, blocks),
        coalesce(measured.blocks, 0) as blocks,
        candidates_asked.plugin
            is not distinct from campaigns.baseline_plugin as is_baseline,
        campaigns.environment_class
            is not distinct from 'imported' as is_imported,
    from candidates_asked
    left join measured using (campaign, cell, plugin, profile)
    left join campaigns using (campaign)
),

-- A candidate is ahead of another when its slowest run beats the other's
-- fastest.
ranks as (
    select
        behind.campaign,
        behind.cell,
        behind.plugin,
        behind.profile,
        1 + count(ahead.plugin) as rank,
    from candidates as behind
    left join candidates as ahead
        on
            ahead.campaign = behind.campaign
            and ahead.cell = behind.cell
            and ahead.rate_min > behind.rate_max
            and not ahead.is_baseline
    where not behind.is_baseline and behind.blocks > 0
    group by all
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        rank,
        plugin,
        profile,
        is_baseline,
        blocks_planned,
        blocks,
        metric,
        rate_median,
        rate_min,
        rate_max,
        nullif(
            concat_ws(
                '; ',
                if(
                    is_imported,
                    'imported: no gate of cnibench saw the run',
                    null
                ),
                if(
                    blocks = 0,
                    coalesce(
                        unsupported_reason, 'no comparable run, see coverage'
                    ),
                    null
                ),
                if(
                    blocks between 1 and 2,
                    'fewer than 3 blocks: the order may be chance',
                    null
                ),
                if(
                    environments_differ,
                    'blocks ran in different environments',
                    null
                )
            ),
            ''
        ) as note,
    from candidates
    left join ranks using (campaign, cell, plugin, profile)
)

select * from final
order by
    campaign,
    cell,
    rank nulls last,
    rate_median desc nulls last,
    plugin,
    profile
