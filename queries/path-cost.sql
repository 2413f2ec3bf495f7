-- What does each path cost against pod to pod on another node? Both sides of a pair
-- are of the same block: one install, one profile, the same traffic.
with

candidates_asked as (
    select *
    from asked
    where
        path != 'cross-node'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

runs as (
    select *, substr(cell, length(path) + 2) as traffic_id
    from comparable
    where
        rate is not null
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

direct as materialized (
    select * from runs where path = 'cross-node'
),

measured as (
    select
        runs.campaign,
        runs.cell,
        runs.plugin,
        runs.profile,
        any_value(runs.metric) as metric,
        count(*) as pairs,
        median(runs.rate) as rate_median,
        median(direct.rate) as direct_rate_median,
        mean_of_all(runs.rate_logarithm - direct.rate_logarithm, 1) as mean,
        half_width_95(runs.rate_logarithm - direct.rate_logarithm)
            as half_width,
        median(
            runs.cpu_s_per_work / nullif(direct.cpu_s_per_work, 0)
        ) as cpu_per_work_ratio,
        min(runs.environment) != max(runs.environment) as environments_differ,
    from runs
    inner join direct using (campaign, plugin, profile, repeat, traffic_id)
    where runs.path != 'cross-node'
    group by all
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        coalesce(pairs, 0) as pairs,
        metric,
        rate_median,
        direct_rate_median,
        exp(mean) as rate_ratio,
        exp(mean - half_width) as rate_ratio_low,
        exp(mean + half_width) as rate_ratio_high,
        cpu_per_work_ratio,
        nullif(
            concat_ws(
                '; ',
                if(
                    pairs is null,
                    coalesce(
                        unsupported_reason,
                        'no block has this cell and its like on cross-node, '
                        'see coverage'
                    ),
                    null
                ),
                if(pairs < 3, 'fewer than 3 blocks', null),
                if(
                    pairs > 0 and path like 'external-%',
                    'another machine is the client',
                    null
                ),
                if(environments_differ, 'environments differ', null)
            ),
            ''
        ) as note,
    from candidates_asked
    left join measured using (campaign, cell, plugin, profile)
)

select * from final
order by campaign, cell, profile, rate_ratio desc nulls last, plugin
